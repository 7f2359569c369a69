//! Signals that come while a call with a deadline waits: each ends it, cost nothing, and is told.

use std::time::{Duration, Instant};

use afunix::{AcceptError, Deadline, Errno, UnixDatagram};

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

/// From a process that is stopped for three seconds of its deadline's three. The kernel has a wait that it
/// was in go on for what was left when it was stopped.
#[test]
fn wait_of_a_process_that_was_stopped_is_no_longer() {
    const TEST: &str = "interrupted::wait_of_a_process_that_was_stopped_is_no_longer";
    passes_in_child(TEST, || {
        let (_a, b) = UnixDatagram::pair().unwrap();
        // SAFETY: the child makes system calls alone.
        let child = match unsafe { libc::fork() } {
            0 => unsafe {
                let (parent, pause) = (libc::getppid(), |milliseconds| {
                    libc::poll(std::ptr::null_mut(), 0, milliseconds);
                });
                pause(200);
                libc::kill(parent, libc::SIGSTOP);
                pause(3000);
                libc::kill(parent, libc::SIGCONT);
                libc::_exit(0)
            },
            child => child,
        };
        let began = Instant::now();
        let deadline = Deadline::after(Duration::from_secs(3)).unwrap();
        assert_eq!(b.recv_deadline(&mut [0; 8], deadline), Err(Errno::TIMEDOUT));
        let took = began.elapsed();
        // Naively it is 6 seconds.
        assert!((Duration::from_secs(3)..Duration::from_millis(5200)).contains(&took), "{took:?}");
        // SAFETY: a number, and no place for the answer.
        assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
    });
}

/// In a sandbox where no descriptor may be opened, nor asked about, it waits all the same, and notices.
#[test]
fn deadlines_hold_where_poll_may_not_be_asked() {
    passes_in_child("interrupted::deadlines_hold_where_poll_may_not_be_asked", || {
        let (a, b) = UnixDatagram::pair().unwrap();
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a value to be read.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) }, 0);
        let began = Instant::now();
        let deadline = Deadline::after(Duration::from_millis(200)).unwrap();
        assert_eq!(b.recv_deadline(&mut [0; 8], deadline), Err(Errno::TIMEDOUT));
        let took = began.elapsed();
        assert!((Duration::from_millis(200)..Duration::from_secs(5)).contains(&took), "{took:?}");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(100));
                a.send(b"late").unwrap();
            });
            assert_eq!(b.recv_deadline(&mut [0; 8], far()).unwrap().bytes, 4);
        });
    });
}
