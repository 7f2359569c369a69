//! What does not fit.

use afunix::{AncillaryBuf, IoSliceMut, RecvError, RecvOptions, Space, Truncation};

use crate::common::emulated::{CUT, is_set, left_out_by_qemu};
use crate::common::{open_fds, passes_in_child};
use crate::methods::{NOTHING, Passes, lend, now};
use crate::plain::{self, HEADER, files, inodes, pipe, poll};

for_data!(
    space_of_one_descriptor_takes_two_where_there_is_padding
    surplus_is_closed_and_counted_up_to_fourteen
    descriptors_have_room_beside_credentials_and_a_pidfd
    count_that_was_not_wanted_is_an_error_that_closes_all
    what_does_not_fit_is_closed_by_the_kernel
    socket_that_was_asked_for_more_truncates_each_receive_without_room
);

/// See "Room is counted in descriptors, not in messages" in `kernel.md`.
fn space_of_one_descriptor_takes_two_where_there_is_padding<T: Passes>(_: &str) {
    const ONE: usize = Space::new().rights::<1>().bytes();
    let (a, b) = T::pair().unwrap();
    let files = files(3);
    a.send_fds(b"x", &lend(&files)).unwrap();
    let (mut control, mut data) = (AncillaryBuf::<ONE>::new(), [0]);
    let pieces = &mut [IoSliceMut::new(&mut data)];
    let (_, ancillary) = b.recv_with(pieces, &mut control, RecvOptions::new().lossy()).unwrap();
    let fitting = if cfg!(target_pointer_width = "64") { 2 } else { 1 };
    assert_eq!(ancillary.fds().count(), fitting);
    if !left_out_by_qemu(CUT) {
        assert_eq!(ancillary.truncation(), Some(Truncation::BufferFull));
    }
}

fn surplus_is_closed_and_counted_up_to_fourteen<T: Passes>(test: &str) {
    // A process of its own, because descriptors are counted.
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let files = files(17);
        let (lent, numbers) = (lend(&files), inodes(&files));
        let before = open_fds();
        for sent in 0..=16 {
            a.send_fds(b"x", &lent[..sent]).unwrap();
            let (_, fds) = b.recv_fds::<2>(&mut [0; 4]).unwrap();
            let kept = sent.min(2);
            assert_eq!((fds.len(), fds.surplus()), (kept, sent - kept));
            assert_eq!(open_fds().len(), before.len() + kept);
            assert_eq!(inodes(fds.iter().collect::<Vec<_>>().iter()), numbers[..kept]);
            drop(fds);
            assert_eq!(open_fds(), before);
        }
        if left_out_by_qemu(CUT) {
            return;
        }
        a.send_fds(b"two", &lent).unwrap();
        let error = b.recv_fds::<2>(&mut [0; 4]).unwrap_err();
        let RecvError::ControlTruncated { bytes, size, closed, cause, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((bytes, size, closed, cause), (3, 3, 16, Truncation::BufferFull));
        assert_eq!(open_fds(), before);
    });
}

fn descriptors_have_room_beside_credentials_and_a_pidfd<T: Passes>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        b.set_passcred(true).unwrap();
        is_set(b.set_passpidfd(true));
        let files = files(3);
        let before = open_fds();
        for _ in 0..2 {
            a.send_fds(b"x", &lend(&files[..1])).unwrap();
            let (_, [one]) = b.recv_fds_exact::<1>(&mut [0; 4]).unwrap();
            a.send_fds(b"x", &lend(&files)).unwrap();
            let (_, [x, y, z]) = afunix::recv_fds_exact::<3>(&b, &mut [0; 4]).unwrap();
            assert_eq!(inodes([&one, &x, &y, &z])[1..], inodes(&files));
            a.put(b"x").unwrap();
            let (_, fds) = b.recv_fds::<0>(&mut [0; 4]).unwrap();
            assert!(fds.is_empty());
            drop((one, x, y, z));
            // The pidfd of each has been closed.
            assert_eq!(open_fds(), before);
        }
    });
}

fn count_that_was_not_wanted_is_an_error_that_closes_all<T: Passes>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let files = files(6);
        let before = open_fds();
        for found in [0, 1, 3, 5, 6] {
            a.send_fds(b"word", &lend(&files[..found])).unwrap();
            let mut buf = [0; 8];
            let error = b.recv_fds_exact::<2>(&mut buf).unwrap_err();
            let RecvError::WrongCount { bytes: 4, size: 4, wanted: 2, found: said, .. } = error
            else {
                panic!("{error:?}");
            };
            assert_eq!((said, &buf[..4]), (found, &b"word"[..]));
            assert_eq!(open_fds(), before);
        }
        assert_eq!(now(&b).unwrap_err(), NOTHING);
    });
}

/// See "Room is counted in descriptors, not in messages" in `kernel.md`.
fn what_does_not_fit_is_closed_by_the_kernel<T: Passes>(test: &str) {
    passes_in_child(test, || {
        if left_out_by_qemu(CUT) {
            return;
        }
        let (a, b) = T::pair().unwrap();
        let (reading, writing) = pipe();
        let file = files(1).remove(0);
        a.send_fds(b"x", &lend(&[file, writing])).unwrap();
        // The copy in the queue is the last one.
        assert_eq!(poll(&reading), 0);
        let reply = plain::recv(&b, &mut [0; 4], HEADER + 4, 0).unwrap();
        assert_eq!((reply.fds.len(), reply.is_truncated()), (1, true));
        assert_eq!(poll(&reading), libc::POLLHUP);
    });
}

/// See "Without room for what was asked for, each receive is truncated" in `kernel.md`.
fn socket_that_was_asked_for_more_truncates_each_receive_without_room<T: Passes>(_: &str) {
    let ask: [fn(&T) -> _; 2] = [|b| b.set_passcred(true), |b| b.set_passpidfd(true)];
    for ask in ask {
        let (a, b) = T::pair().unwrap();
        if !is_set(ask(&b)) {
            continue;
        }
        for _ in 0..5 {
            a.put(b"ab").unwrap();
        }
        assert!(plain::recv(&b, &mut [0; 2], 0, 0).unwrap().is_truncated());
        let mut buf = [0; 2];
        let mut receive = |options| {
            let (data, mut none) = (&mut [IoSliceMut::new(&mut buf)], AncillaryBuf::<0>::new());
            b.recv_with(data, &mut none, options).map(|(_, ancillary)| ancillary.truncation())
        };
        let error = receive(RecvOptions::new()).unwrap_err();
        let cause = Truncation::BufferFull;
        let RecvError::ControlTruncated { bytes: 2, size: 2, closed: 0, cause: said, .. } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(said, cause);
        assert_eq!(receive(RecvOptions::new().lossy()), Ok(Some(cause)));
        // Where there is no flag to be seen, nobody minds.
        assert_eq!(b.get(&mut [0; 2]), Ok(2));
        assert!(b.recv_fds::<0>(&mut [0; 2]).is_ok());
        assert_eq!(now(&b).unwrap_err(), NOTHING);
    }
}
