//! Connections that are made at once, in time, and not at all.

use std::time::{Duration, Instant};
use std::{fs, thread};

use afunix::{Deadline, Errno, Shutdown, UnixAddr};

use crate::common::kinds::{Listens, Socket};
use crate::common::{TempDir, close, identity, name, open_fds, passes_in_child, start_waiting};
use crate::ways::{SLACK, TimedConnect, crowded, expires, far, limit_descriptors, past, soon};

for_connecting!(
    connection_is_made_at_once_even_if_it_is_late
    connection_is_made_when_there_is_room
    connection_that_waits_in_vain_is_etimedout_and_there_is_none
    socket_is_an_ordinary_one
    refusals_come_at_once
    listener_that_goes_away_is_a_refusal
    listener_that_is_shut_is_a_refusal_at_the_deadline
    connection_that_cannot_be_made_leaves_no_descriptor
    connection_without_a_descriptor_is_emfile
    very_long_time_is_one
);

fn connection_is_made_at_once_even_if_it_is_late<T: TimedConnect>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    for deadline in [past(), soon(), far()] {
        let client = T::connect_deadline(&server, deadline).unwrap();
        assert_eq!(client.peer_addr(), Ok(server));
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(client.put(b"word"), Ok(4));
        assert_eq!(accepted.get(&mut [0; 8]), Ok(4));
    }
}

fn connection_is_made_when_there_is_room<T: TimedConnect>(_: &str) {
    let (listener, server, _clients) = crowded::<T>();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || T::connect_deadline(&server, far()));
        drop(listener.accept().unwrap());
        let client = waiting.join().unwrap().unwrap();
        assert_ordinary(&client);
        assert_eq!(client.put(b"late"), Ok(4));
    });
    for expected in [0, 0, 4] {
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        assert_eq!(accepted.get(&mut [0; 8]).unwrap_or(0), expected);
    }
}

fn connection_that_waits_in_vain_is_etimedout_and_there_is_none<T: TimedConnect>(_: &str) {
    let (listener, server, clients) = crowded::<T>();
    expires(|deadline| T::connect_deadline(&server, deadline));
    assert_eq!(T::connect_deadline(&server, past()).map(drop), Err(Errno::TIMEDOUT));
    listener.set_nonblocking(true).unwrap();
    for _ in clients {
        assert!(listener.accept().is_ok());
    }
    assert_eq!(listener.accept().map(drop), Err(Errno::AGAIN));
}

/// Blocking, close-on-exec, and with no time limit.
fn assert_ordinary<T: TimedConnect>(socket: &T) {
    let (_, _, descriptor_flags, flags) = identity(socket);
    assert_eq!((descriptor_flags, flags & libc::O_NONBLOCK), (libc::FD_CLOEXEC, 0));
    for option in [libc::SO_SNDTIMEO, libc::SO_RCVTIMEO] {
        let mut time = libc::timeval { tv_sec: 7, tv_usec: 7 };
        let mut len = size_of::<libc::timeval>() as libc::socklen_t;
        // SAFETY: the kernel writes one `timeval` at most.
        let got = unsafe {
            let (fd, time) = (socket.as_raw_fd(), (&raw mut time).cast());
            libc::getsockopt(fd, libc::SOL_SOCKET, option, time, &mut len)
        };
        assert_eq!((got, time.tv_sec, time.tv_usec), (0, 0, 0));
    }
}

fn socket_is_an_ordinary_one<T: TimedConnect>(_: &str) {
    let (_listener, server) = T::Listener::autobind().unwrap();
    assert_ordinary(&T::connect_deadline(&server, past()).unwrap());
    assert_ordinary(&T::connect_deadline(&server, far()).unwrap());
}

fn refusals_come_at_once<T: TimedConnect>(_: &str) {
    let folder = TempDir::new();
    fs::write(folder.join("file"), "").unwrap();
    let start = Instant::now();
    for (target, expected) in [
        (folder.addr("missing"), Errno::NOENT),
        (folder.addr("file"), Errno::CONNREFUSED),
        (name("nobody"), Errno::CONNREFUSED),
        (UnixAddr::UNNAMED, Errno::INVAL),
    ] {
        assert_eq!(T::connect_deadline(&target, far()).map(drop), Err(expected), "{target}");
        assert_eq!(T::connect_deadline(&target, past()).map(drop), Err(expected), "{target}");
    }
    assert!(start.elapsed() < SLACK);
}

fn listener_that_goes_away_is_a_refusal<T: TimedConnect>(_: &str) {
    let (listener, server, _clients) = crowded::<T>();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || T::connect_deadline(&server, far()).map(drop));
        close(listener);
        assert_eq!(waiting.join().unwrap(), Err(Errno::CONNREFUSED));
    });
}

/// See "A connect that waits is not told that the listener was shut" in `kernel.md`.
fn listener_that_is_shut_is_a_refusal_at_the_deadline<T: TimedConnect>(_: &str) {
    let (listener, server, _clients) = crowded::<T>();
    let deadline = Deadline::after(Duration::from_secs(1)).unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || T::connect_deadline(&server, deadline).map(drop));
        listener.shutdown(Shutdown::Both).unwrap();
        assert_eq!(waiting.join().unwrap(), Err(Errno::CONNREFUSED));
        assert_eq!(deadline.remaining(), Ok(Duration::ZERO));
        // As is told at once where there is no wait.
        assert_eq!(T::connect_deadline(&server, far()).map(drop), Err(Errno::CONNREFUSED));
    });
}

fn connection_that_cannot_be_made_leaves_no_descriptor<T: TimedConnect>(test: &str) {
    passes_in_child(test, || {
        let (_listener, server, _clients) = crowded::<T>();
        let before = open_fds();
        expires(|deadline| T::connect_deadline(&server, deadline));
        assert_eq!(T::connect_deadline(&server, past()).map(drop), Err(Errno::TIMEDOUT));
        assert_eq!(T::connect_deadline(&name("nobody"), far()).map(drop), Err(Errno::CONNREFUSED));
        assert_eq!(open_fds(), before);
    });
}

fn connection_without_a_descriptor_is_emfile<T: TimedConnect>(test: &str) {
    passes_in_child(test, || {
        let (_listener, server) = T::Listener::autobind().unwrap();
        limit_descriptors(1);
        let client = T::connect_deadline(&server, far()).unwrap();
        assert_eq!(T::connect_deadline(&server, far()).map(drop), Err(Errno::MFILE));
        close(client);
        assert!(T::connect_deadline(&server, far()).is_ok());
    });
}

fn very_long_time_is_one<T: TimedConnect>(_: &str) {
    let (listener, server, _clients) = crowded::<T>();
    let ever = Deadline::after(Duration::MAX).unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || T::connect_deadline(&server, ever).map(drop));
        drop(listener.accept().unwrap());
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
}
