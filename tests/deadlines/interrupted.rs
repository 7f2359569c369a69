//! Signals that come while a call with a deadline waits: each ends it, cost nothing, and is told.

use afunix::{AcceptError, Errno, UnixDatagram};

use crate::common::interrupt::interrupt_by;
use crate::common::kinds::Socket;
use crate::common::{Watchdog, open_fds, passes_in_child};
use crate::ways::{Timed, TimedConnect, TimedListen, crowded, drain, far, fill, past};

for_data!(
    receive_that_is_interrupted_says_eintr_and_takes_nothing
    send_that_is_interrupted_says_eintr_and_sent_nothing
);
for_connecting!(
    accept_that_is_interrupted_says_eintr_and_keeps_the_connection
    connect_that_is_interrupted_says_eintr_and_leaves_no_descriptor
);

/// Handlers that end a call, and such as have it restarted where it can be. See "A wait in poll ends with
/// any signal" in `kernel.md`.
const HANDLERS: [libc::c_int; 2] = [0, libc::SA_RESTART];

fn receive_that_is_interrupted_says_eintr_and_takes_nothing<T: Timed>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        for (get, flags) in T::GETS.iter().flat_map(|get| HANDLERS.map(|flags| (get, flags))) {
            let mut buf = [7; 4];
            assert_eq!(interrupt_by(flags, || get(&b, &mut buf, far())), Err(Errno::INTR));
            assert_eq!(buf, [7; 4]);
            assert_eq!(a.put(b"word"), Ok(4));
            assert_eq!(get(&b, &mut buf, past()), Ok(4));
            assert_eq!(&buf, b"word");
        }
    });
}

fn send_that_is_interrupted_says_eintr_and_sent_nothing<T: Timed>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        for (put, flags) in T::PUTS.iter().flat_map(|put| HANDLERS.map(|flags| (put, flags))) {
            let sent = fill(&a);
            assert_eq!(interrupt_by(flags, || put(&a, b"more", far())), Err(Errno::INTR));
            assert_eq!(drain(&b), sent);
            assert_eq!(put(&a, b"more", past()), Ok(4));
            assert_eq!(drain(&b), 4);
        }
    });
}

#[test]
fn send_to_an_address_that_is_interrupted_says_eintr_and_leaves_no_descriptor() {
    const TEST: &str =
        "interrupted::send_to_an_address_that_is_interrupted_says_eintr_and_leaves_no_descriptor";
    let _watchdog = Watchdog::new();
    passes_in_child(TEST, || {
        let (inbox, there) = UnixDatagram::autobind().unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let mut sent = 0;
        while sender.send_to_deadline(b"x", &there, past()).is_ok() {
            sent += 1;
        }
        let before = open_fds();
        for flags in HANDLERS {
            let answer = interrupt_by(flags, || sender.send_to_deadline(b"more", &there, far()));
            assert_eq!(answer, Err(Errno::INTR));
        }
        assert_eq!(open_fds(), before);
        assert_eq!(drain(&inbox), sent);
    });
}

fn accept_that_is_interrupted_says_eintr_and_keeps_the_connection<T: TimedConnect>(test: &str) {
    passes_in_child(test, || {
        let (listener, server) = T::Listener::autobind().unwrap();
        listener.set_nonblocking(true).unwrap();
        for flags in HANDLERS {
            let answer = interrupt_by(flags, || listener.accept_deadline(far()).map(drop));
            assert_eq!(answer, Err(AcceptError::Kernel(Errno::INTR)));
        }
        let _client = T::connect(&server).unwrap();
        assert!(listener.accept_deadline(past()).is_ok());
    });
}

fn connect_that_is_interrupted_says_eintr_and_leaves_no_descriptor<T: TimedConnect>(test: &str) {
    passes_in_child(test, || {
        let (listener, server, clients) = crowded::<T>();
        let before = open_fds();
        for flags in HANDLERS {
            for deadline in [far(), afunix::Deadline::after(std::time::Duration::MAX).unwrap()] {
                let answer = interrupt_by(flags, || T::connect_deadline(&server, deadline));
                assert_eq!(answer.map(drop), Err(Errno::INTR));
            }
        }
        assert_eq!(open_fds(), before);
        listener.set_nonblocking(true).unwrap();
        for _ in clients {
            assert!(listener.accept_deadline(past()).is_ok());
        }
        assert!(listener.accept_deadline(past()).is_err());
    });
}
