//! What received descriptors are.

use std::os::fd::AsRawFd as _;

use afunix::{Errno, OwnedFd, RecvError, RecvOptions, UnixAddr};

use crate::common::emulated::is_set;
use crate::common::{identity, name, passes_in_child};
use crate::methods::{NOTHING, Passes, get, got_of, lend, now};
use crate::plain::{self, files, is_close_on_exec, number, rights};

for_data!(
    received_descriptors_close_on_exec_where_a_plain_call_leaves_that_out
    received_descriptors_have_the_lowest_free_numbers_in_order
    received_descriptors_share_offset_and_status_flags
    error_writes_nothing
);

/// See "Received descriptors close on exec if asked" in `kernel.md`.
fn received_descriptors_close_on_exec_where_a_plain_call_leaves_that_out<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let pidfds = is_set(b.set_passpidfd(true));
    let files = files(2);
    let send = || assert_eq!(a.send_fds(b"x", &lend(&files)).unwrap().bytes, 1);
    send();
    let reply = plain::recv(&b, &mut [0], 200, 0).unwrap();
    assert!(reply.fds.len() == 2 && !reply.fds.iter().any(is_close_on_exec));
    assert!(!pidfds || is_close_on_exec(&reply.pidfd.unwrap().unwrap()));
    send();
    let got = get(&b, 1);
    assert!(got.fds.len() == 2 && got.fds.iter().all(is_close_on_exec));
    assert!(!pidfds || is_close_on_exec(&got.pidfd.unwrap().unwrap()));
    send();
    let got = got_of(&b, 1, RecvOptions::new()).unwrap();
    assert!(got.fds.len() == 2 && got.fds.iter().all(is_close_on_exec));
    send();
    let (_, fds) = b.recv_fds_exact::<2>(&mut [0]).unwrap();
    assert!(fds.iter().all(is_close_on_exec));
    send();
    let (_, fds) = afunix::recv_fds::<2>(&b, &mut [0]).unwrap();
    assert!(fds.len() == 2 && fds.into_iter().all(|fd| is_close_on_exec(&fd)));
}

/// See "Received descriptors close on exec if asked" in `kernel.md`.
fn received_descriptors_have_the_lowest_free_numbers_in_order<T: Passes>(test: &str) {
    // A process of its own, where nobody else opens anything.
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let fillers = [(); 7].map(|()| null.try_clone().unwrap());
        let numbers = fillers.each_ref().map(std::fs::File::as_raw_fd);
        assert!(numbers.is_sorted());
        let files = files(3);
        let inodes: Vec<_> = files.iter().map(|file| identity(file).1).collect();
        // Gaps, in an order that is not theirs.
        let [_x, y, _z, v, w, _s, t] = fillers;
        drop((w, y, t, v));
        a.send_fds(b"x", &lend(&files)).unwrap();
        let (_, fds) = b.recv_fds_exact::<3>(&mut [0]).unwrap();
        let found = fds.each_ref().map(|fd| (identity(fd).0, identity(fd).1));
        let gaps = [numbers[1], numbers[3], numbers[4]];
        assert_eq!(found.to_vec(), gaps.into_iter().zip(inodes).collect::<Vec<_>>());
    });
}

fn offset(fd: &OwnedFd) -> i64 {
    // SAFETY: numbers alone.
    #[allow(clippy::unnecessary_cast)]
    let offset = unsafe { libc::lseek(number(fd), 0, libc::SEEK_CUR) } as i64;
    offset
}

/// See "Received descriptors close on exec if asked" in `kernel.md`.
fn received_descriptors_share_offset_and_status_flags<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let files = files(1);
    a.send_fds(b"x", &lend(&files)).unwrap();
    let (_, [same]) = b.recv_fds_exact::<1>(&mut [0]).unwrap();
    // SAFETY: one byte to be read; and numbers alone.
    unsafe {
        assert_eq!(libc::write(number(&same), b"x".as_ptr().cast(), 1), 1);
        assert_eq!((offset(&files[0]), offset(&same)), (1, 1));
        let flags = identity(&same).3;
        assert_eq!(libc::fcntl(number(&same), libc::F_SETFL, flags | libc::O_APPEND), 0);
        let shared = identity(&files[0]).3;
        assert_eq!((shared & libc::O_APPEND, shared), (libc::O_APPEND, identity(&same).3));
        // The flag of the descriptor is its own.
        assert_eq!(libc::fcntl(number(&same), libc::F_SETFD, 0), 0);
    }
    assert!(is_close_on_exec(&files[0]) && !is_close_on_exec(&same));
}

/// See "On an error nothing is written" in `kernel.md`: what a plain call finds is looked at wherever
/// one fails.
fn error_writes_nothing<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    assert_eq!(plain::recv(&b, &mut [0; 4], 64, libc::MSG_DONTWAIT).map(drop), Err(Errno::AGAIN));
    let before = name("before");
    let mut from: UnixAddr = before;
    let options = RecvOptions::new().from(&mut from).nonblocking();
    assert_eq!(got_of(&b, 4, options).unwrap_err(), RecvError::Kernel(Errno::AGAIN));
    assert_eq!(from, before);
    assert_eq!(now(&b).unwrap_err(), NOTHING);
    // The other side was not disturbed.
    plain::send(&a, b"x", &rights(&[number(&a)]), 0).unwrap();
    assert_eq!(get(&b, 4).fds.len(), 1);
}
