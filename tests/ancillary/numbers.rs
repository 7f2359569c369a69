//! A receiver that has no number free for a descriptor. Each runs in a child.

use std::os::fd::AsRawFd as _;

use afunix::{AncillaryBuf, Errno, IoSliceMut, OwnedFd, RecvError, RecvOptions, Space, Truncation};

use crate::common::emulated::is_set;
use crate::common::{open_fds, passes_in_child};
use crate::methods::{Got, Passes, get, got, lend, mine};
use crate::plain::{self, HEADER, WORD, files, inodes};
use crate::table::TAKE;

for_data!(
    number_that_is_not_free_is_a_truncation_with_another_cause
    cause_is_told_where_there_would_have_been_room
    pidfd_that_could_not_be_made_tells_the_cause
);

/// Makes a call when just `left` more descriptors may be opened.
fn with_left<R>(left: usize, call: impl FnOnce() -> R) -> R {
    let null = std::fs::File::open("/dev/null").unwrap();
    let highest = open_fds().last().map_or(2, |(fd, _)| *fd);
    let mut fillers = vec![null];
    while fillers.last().is_some_and(|filler| filler.as_raw_fd() < highest) {
        fillers.push(fillers[0].try_clone().unwrap());
    }
    let first_free = fillers.last().map_or(0, |filler| filler.as_raw_fd() + 1);
    let first_free = usize::try_from(first_free).unwrap();
    // SAFETY: the limit is ours to write, and to read.
    unsafe {
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut before), 0);
        let soft = libc::rlim_t::try_from(first_free + left).unwrap();
        let limit = libc::rlimit { rlim_cur: soft, ..before };
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
        let answer = call();
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &before), 0);
        answer
    }
}

/// See "No free descriptor is no error" in `kernel.md`.
fn number_that_is_not_free_is_a_truncation_with_another_cause<T: Passes>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        b.set_passcred(true).unwrap();
        let files = files(3);
        let numbers = inodes(&files);
        let send = || assert_eq!(a.send_fds(b"ab", &lend(&files)).unwrap().bytes, 2);
        let before = open_fds();
        for left in 0..3 {
            send();
            let reply = with_left(left, || plain::recv(&b, &mut [0; 4], 200, 0).unwrap());
            assert_eq!((reply.bytes, reply.is_truncated()), (2, true));
            assert_eq!(inodes(&reply.fds), numbers[..left]);
            drop(reply);

            send();
            let error = with_left(left, || got(&b, 4, RecvOptions::new()).unwrap_err());
            let RecvError::ControlTruncated { bytes: 2, size: 2, closed, cause, .. } = error else {
                panic!("{error:?}");
            };
            assert_eq!((closed, cause), (left, Truncation::NotInstalled));
            send();
            let got = with_left(left, || got(&b, 4, RecvOptions::new().lossy()).unwrap());
            assert_eq!((inodes(&got.fds), &got.data[..]), (numbers[..left].to_vec(), &b"ab"[..]));
            assert_eq!(got.truncation, Some(Truncation::NotInstalled));
            assert_eq!(got.credentials, Some(mine()));
            drop(got);
            send();
            let error = with_left(left, || b.recv_fds::<3>(&mut [0; 4]).map(drop).unwrap_err());
            assert_eq!(error.errno(), Errno::NOBUFS);
            assert_eq!(open_fds(), before);
        }
        pidfd_that_there_is_no_number_for(&a, &b, &files);
        assert_eq!(open_fds(), before);
    });
}

fn pidfd_that_there_is_no_number_for<T: Passes>(a: &T, b: &T, files: &[OwnedFd]) {
    if !is_set(b.set_passpidfd(true)) {
        return;
    }
    a.put(b"ab").unwrap();
    let reply = with_left(0, || plain::recv(b, &mut [0; 4], 200, 0).unwrap());
    assert!(matches!(reply.pidfd, Some(Err(-24))), "{:?}", reply.pidfd);
    // Which is not counted as a loss.
    assert!(!reply.is_truncated());
    let check = |got: &Got| {
        assert!(matches!(got.pidfd, Err(Errno::MFILE)), "{got:?}");
        assert_eq!((got.credentials, &got.data[..]), (Some(mine()), &b"ab"[..]));
        assert_eq!(got.truncation, None);
    };
    a.put(b"ab").unwrap();
    check(&with_left(0, || get(b, 4)));
    // The descriptors took the last number, and the pidfd had none.
    a.send_fds(b"ab", &lend(&files[..1])).unwrap();
    let got = with_left(1, || get(b, 4));
    assert_eq!(inodes(&got.fds), inodes(&files[..1]));
    check(&got);
}

/// Where what is left of the room would have held one more descriptor, it was not for want of room.
fn cause_is_told_where_there_would_have_been_room<T: Passes>(test: &str) {
    passes_in_child(test, || {
        let files = files(2);
        let numbers = inodes(&files);
        for passcred in [false, true] {
            let (a, b) = T::pair().unwrap();
            b.set_passcred(passcred).unwrap();
            let taken = if passcred { (HEADER + 12).next_multiple_of(WORD) } else { 0 };
            for (room, take) in TAKE.iter().enumerate().take(100) {
                let cause = |sent: usize, left| {
                    a.send_fds(b"ab", &lend(&files[..sent])).unwrap();
                    let options = RecvOptions::new().lossy();
                    let seen = with_left(left, || take(b.as_fd(), options)).unwrap();
                    (seen.fds, seen.truncation.unwrap())
                };
                let fits = |fds: usize| room >= taken + HEADER + 4 * fds;
                let expected =
                    if fits(1) { Truncation::NotInstalled } else { Truncation::BufferFull };
                assert_eq!(cause(1, 0), (vec![], expected), "{room}");
                // Behind one that came there may be too little room for a message to tell by.
                let expected = match fits(2) {
                    false => Truncation::BufferFull,
                    true if room < taken + (HEADER + 4).next_multiple_of(WORD) + HEADER + 4 => {
                        Truncation::Unknown
                    }
                    true => Truncation::NotInstalled,
                };
                let came = if fits(1) { &numbers[..1] } else { &[] };
                assert_eq!(cause(2, 1), (came.to_vec(), expected), "{room}");
            }
        }
    });
}

fn pidfd_that_could_not_be_made_tells_the_cause<T: Passes>(test: &str) {
    const SPACE: usize = Space::new().rights::<2>().pidfd().bytes();
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        if !is_set(b.set_passpidfd(true)) {
            return;
        }
        let files = files(2);
        a.send_fds(b"ab", &lend(&files)).unwrap();
        let (mut control, mut data) = (AncillaryBuf::<SPACE>::new(), [0; 2]);
        let data = &mut [IoSliceMut::new(&mut data)];
        let options = RecvOptions::new().lossy();
        let (_, mut ancillary) = with_left(1, || b.recv_with(data, &mut control, options)).unwrap();
        assert_eq!(ancillary.truncation(), Some(Truncation::NotInstalled));
        assert_eq!(ancillary.fds().count(), 1);
        // However often it is asked for.
        for _ in 0..2 {
            assert_eq!(ancillary.take_pidfd().map(drop), Err(Errno::MFILE));
        }
    });
}
