//! Connections that are accepted at once, in time, and not at all; and listeners that others hold too.

use std::thread;
use std::time::{Duration, Instant};

use afunix::{AcceptError, Errno, Shutdown};

use crate::common::kinds::{Listens, Socket};
use crate::common::{Watchdog, identity, passes_in_child, start_waiting};
use crate::ways::{
    SHORT, SLACK, TimedConnect, TimedListen, expires, far, limit_descriptors, past, soon,
};

for_connecting!(
    blocking_listener_is_refused_and_keeps_its_connection
    connection_that_is_there_is_accepted_even_if_it_is_late
    connection_that_comes_while_it_waits_is_accepted
    accept_that_waits_in_vain_is_etimedout
    listeners_flags_and_limit_stay
    accept_without_a_descriptor_is_emfile_at_once_and_keeps_the_connection
    listener_that_was_shut_is_einval_behind_its_queue
    listener_that_is_shut_while_it_waits_is_einval
    listener_that_becomes_blocking_is_refused_at_the_next_attempt
    two_that_accept_do_not_hold_each_other_up
    blocking_accept_behind_a_poll_does_not_come_back
);

const LATE: AcceptError = AcceptError::Kernel(Errno::TIMEDOUT);

fn nonblocking<T: TimedConnect>() -> (T::Listener, afunix::UnixAddr) {
    let (listener, server) = T::Listener::autobind().unwrap();
    listener.set_nonblocking(true).unwrap();
    (listener, server)
}

fn blocking_listener_is_refused_and_keeps_its_connection<T: TimedConnect>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    for deadline in [past(), far()] {
        assert_eq!(listener.accept_deadline(deadline).map(drop), Err(AcceptError::Blocking));
    }
    let client = T::connect(&server).unwrap();
    assert_eq!(client.put(b"word"), Ok(4));
    let error = listener.accept_deadline(far()).unwrap_err();
    assert_eq!((error, error.errno()), (AcceptError::Blocking, Errno::INVAL));
    assert_eq!(Errno::from(error), Errno::INVAL);
    let (accepted, _) = listener.accept().unwrap();
    assert_eq!(accepted.get(&mut [0; 8]), Ok(4));
}

fn connection_that_is_there_is_accepted_even_if_it_is_late<T: TimedConnect>(_: &str) {
    let (listener, server) = nonblocking::<T>();
    for deadline in [past(), soon(), far()] {
        let client = T::unbound().unwrap();
        let own = crate::common::name("own");
        client.bind_to(&own).unwrap();
        client.connect_to(&server).unwrap();
        let (accepted, from) = listener.accept_deadline(deadline).unwrap();
        assert_eq!(from, own);
        let (_, _, descriptor_flags, flags) = identity(&accepted);
        assert_eq!((descriptor_flags, flags & libc::O_NONBLOCK), (libc::FD_CLOEXEC, 0));
        assert_eq!(listener.accept_deadline(past()).map(drop), Err(LATE));
    }
}

fn connection_that_comes_while_it_waits_is_accepted<T: TimedConnect>(_: &str) {
    let (listener, server) = nonblocking::<T>();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || listener.accept_deadline(far()).unwrap());
        let client = T::connect(&server).unwrap();
        let (accepted, from) = waiting.join().unwrap();
        assert!(from.is_unnamed());
        assert_eq!(client.put(b"word"), Ok(4));
        assert_eq!(accepted.get(&mut [0; 8]), Ok(4));
    });
}

fn accept_that_waits_in_vain_is_etimedout<T: TimedConnect>(_: &str) {
    let (listener, server) = nonblocking::<T>();
    expires(|deadline| listener.accept_deadline(deadline));
    let _client = T::connect(&server).unwrap();
    assert!(listener.accept_deadline(past()).is_ok());
}

fn listeners_flags_and_limit_stay<T: TimedConnect>(_: &str) {
    let (listener, _server) = nonblocking::<T>();
    let before = identity(&listener);
    expires(|deadline| listener.accept_deadline(deadline));
    assert_eq!(identity(&listener), before);
}

fn accept_without_a_descriptor_is_emfile_at_once_and_keeps_the_connection<T>(test: &str)
where
    T: TimedConnect,
{
    passes_in_child(test, || {
        let (listener, server) = nonblocking::<T>();
        let client = T::connect(&server).unwrap();
        let spare = T::unbound().unwrap();
        limit_descriptors(0);
        let start = Instant::now();
        for deadline in [past(), far()] {
            let error = listener.accept_deadline(deadline).map(drop);
            assert_eq!(error, Err(AcceptError::Kernel(Errno::MFILE)));
        }
        assert!(start.elapsed() < SLACK);
        drop(spare);
        assert_eq!(client.put(b"word"), Ok(4));
        let (accepted, _) = listener.accept_deadline(far()).unwrap();
        assert_eq!(accepted.get(&mut [0; 8]), Ok(4));
    });
}

/// See "What is shut for reading looks as if there were something" in `kernel.md`.
fn listener_that_was_shut_is_einval_behind_its_queue<T: TimedConnect>(_: &str) {
    for deadline in [past as fn() -> _, soon, far] {
        let (listener, server) = nonblocking::<T>();
        let _client = T::connect(&server).unwrap();
        listener.shutdown(Shutdown::Read).unwrap();
        assert!(listener.accept_deadline(deadline()).is_ok());
        // The kernel says what it says while nothing has come yet.
        assert_eq!(listener.accept().map(drop), Err(Errno::AGAIN));
        for _ in 0..2 {
            let error = listener.accept_deadline(deadline()).map(drop);
            assert_eq!(error, Err(AcceptError::Kernel(Errno::INVAL)));
        }
        listener.set_nonblocking(false).unwrap();
        assert_eq!(listener.accept().map(drop), Err(Errno::INVAL));
    }
}

fn listener_that_is_shut_while_it_waits_is_einval<T: TimedConnect>(_: &str) {
    let (listener, _server) = nonblocking::<T>();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || listener.accept_deadline(far()).map(drop));
        listener.shutdown(Shutdown::Read).unwrap();
        assert_eq!(waiting.join().unwrap(), Err(AcceptError::Kernel(Errno::INVAL)));
    });
}

fn listener_that_becomes_blocking_is_refused_at_the_next_attempt<T: TimedConnect>(_: &str) {
    let (listener, server) = nonblocking::<T>();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || listener.accept_deadline(far()).map(drop));
        listener.set_nonblocking(false).unwrap();
        let _client = T::connect(&server).unwrap();
        assert_eq!(waiting.join().unwrap(), Err(AcceptError::Blocking));
        assert!(listener.accept().is_ok());
    });
}

/// One connection and two who want it, many times over.
fn two_that_accept_do_not_hold_each_other_up<T: TimedConnect>(_: &str) {
    let (listener, server) = nonblocking::<T>();
    let limit = Duration::from_millis(5);
    for _ in 0..40 {
        let accept = || {
            let start = Instant::now();
            let deadline = afunix::Deadline::after(limit).unwrap();
            let accepted = listener.accept_deadline(deadline).map(drop);
            assert!(start.elapsed() < SLACK);
            accepted
        };
        thread::scope(|scope| {
            let both = [scope.spawn(accept), scope.spawn(accept)];
            let _client = T::connect(&server).unwrap();
            let answers = both.map(|one| one.join().unwrap());
            let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
            // Both may have been late, on a machine with too much to do.
            assert!(accepted <= 1, "{answers:?}");
            assert!(answers.iter().all(|answer| answer.is_ok() || *answer == Err(LATE)));
            if accepted == 0 {
                listener.accept_deadline(past()).unwrap();
            }
        });
    }
}

/// What is refused, and why: somebody else was faster. See "An accept cannot be kept from waiting" in
/// `kernel.md`.
fn blocking_accept_behind_a_poll_does_not_come_back<T: TimedConnect>(_: &str) {
    let _watchdog = Watchdog::new();
    let (listener, server) = T::Listener::autobind().unwrap();
    let _client = T::connect(&server).unwrap();
    assert_eq!(crate::poll::poll(&listener, libc::POLLIN, 0), libc::POLLIN);
    drop(listener.accept().unwrap());
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || listener.accept().map(drop));
        thread::sleep(SHORT);
        assert!(!waiting.is_finished());
        let _client = T::connect(&server).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
}
