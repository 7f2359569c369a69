//! Receivers that return early: whatever part they took stays theirs, and the rest is closed, once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use afunix::{AncillaryBuf, AsFd, AsRawFd, OwnedFd, RecvOptions, Space};

use crate::check::{Parcel, null};
use crate::common::{identity, open_fds};
use crate::ways::Passing;

leak_tests!(
    ancillary_that_is_dropped_closes_what_was_not_taken
    ancillary_of_which_only_the_pidfd_was_taken_closes_the_descriptors
    descriptor_that_was_taken_and_closed_is_not_closed_again
    ancillary_that_is_dropped_by_a_panic_closes_what_was_not_taken
    buffer_is_used_again_without_a_thought
    fds_that_are_dropped_close_what_was_not_taken
    fds_into_an_array_of_another_size_are_kept
    ancillary_of_another_number_is_kept
    peeks_of_descriptors_install_none
);

/// Room for all that comes in these tests.
type Control = AncillaryBuf<{ Space::new().credentials().rights::<6>().pidfd().bytes() }>;

fn ancillary_that_is_dropped_closes_what_was_not_taken<P: Passing>() {
    let (a, b) = P::pair();
    for taken in 0..=5 {
        let (parcel, mut control) = (Parcel::sent(&a, b"word", 5), Control::new());
        let (_, mut ancillary) = b.take(&mut [0; 8], &mut control, RecvOptions::new()).unwrap();
        assert_eq!(parcel.held(), 5);
        let mut fds: Vec<OwnedFd> = ancillary.take_fds().take(taken).collect();
        assert_eq!((fds.len(), ancillary.fds().count(), parcel.held()), (taken, 5 - taken, 5));
        // Each is open, and none is lent twice.
        let mut numbers: Vec<_> =
            fds.iter().map(AsFd::as_fd).chain(ancillary.fds()).map(|fd| fd.as_raw_fd()).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), 5);
        drop(ancillary);
        assert_eq!(parcel.held(), taken);
        while fds.pop().is_some() {
            assert_eq!(parcel.held(), fds.len());
        }
        parcel.assert_gone();
    }
}

fn ancillary_of_which_only_the_pidfd_was_taken_closes_the_descriptors<P: Passing>() {
    let Some((a, b)) = P::attesting_pair() else { return };
    let before = open_fds().len();
    let parcel = Parcel::sent(&a, b"word", 3);
    let mut control = Control::new();
    let (_, mut ancillary) = b.take(&mut [0; 8], &mut control, RecvOptions::new()).unwrap();
    // The parcel's witness is one more.
    assert_eq!((parcel.held(), open_fds().len()), (3, before + 1 + 3 + 1));
    let pidfd = ancillary.take_pidfd().unwrap().expect("one was asked for");
    assert!(ancillary.take_pidfd().unwrap().is_none());
    assert_eq!(ancillary.fds().count(), 3);
    drop(ancillary);
    parcel.assert_gone();
    assert_eq!(open_fds().len(), before + 1 + 1);
    drop(pidfd);

    // The other way round: the descriptors, and not the pidfd.
    let parcel = Parcel::sent(&a, b"word", 3);
    let (_, mut ancillary) = b.take(&mut [0; 8], &mut control, RecvOptions::new()).unwrap();
    let fds: Vec<OwnedFd> = ancillary.take_fds().collect();
    drop(ancillary);
    assert_eq!((parcel.held(), open_fds().len()), (3, before + 2 + 3));
    drop(fds);
    parcel.assert_gone();
}

/// A number is given to the next file as soon as it is free. A second close would be that file's.
fn descriptor_that_was_taken_and_closed_is_not_closed_again<P: Passing>() {
    let Some((a, b)) = P::attesting_pair() else { return };
    let parcel = Parcel::sent(&a, b"word", 2);
    let mut control = Control::new();
    let (_, mut ancillary) = b.take(&mut [0; 8], &mut control, RecvOptions::new()).unwrap();
    let fd = ancillary.take_fds().next().unwrap();
    let pidfd = ancillary.take_pidfd().unwrap().unwrap();
    let numbers = [fd.as_raw_fd(), pidfd.as_raw_fd()];
    drop((fd, pidfd));
    let bystanders = [null(), null()];
    assert_eq!(bystanders.each_ref().map(AsRawFd::as_raw_fd), numbers);
    let identities = bystanders.each_ref().map(identity);
    assert_eq!((ancillary.fds().count(), ancillary.take_pidfd().unwrap().is_none()), (1, true));
    drop(ancillary);
    assert_eq!(bystanders.each_ref().map(identity), identities);
    parcel.assert_gone();
    drop(bystanders);

    let parcel = Parcel::sent(&a, b"word", 2);
    let mut fds = b.recv_fds::<2>(&mut [0; 8]).unwrap().1.into_iter();
    let first = fds.next().unwrap();
    let number = first.as_raw_fd();
    drop(first);
    let bystander = null();
    assert_eq!(bystander.as_raw_fd(), number);
    drop(fds);
    let _: (i32, u64, i32, i32) = identity(&bystander);
    parcel.assert_gone();
}

fn ancillary_of_another_number_is_kept<P: Passing>() {
    let Some((a, b)) = P::attesting_pair() else { return };
    let parcel = Parcel::sent(&a, b"word", 3);
    let mut control = Control::new();
    let (_, mut ancillary) = b.take(&mut [0; 8], &mut control, RecvOptions::new()).unwrap();
    assert_eq!(ancillary.take_fds_exact::<0>().unwrap_err(), 3);
    assert_eq!(ancillary.take_fds_exact::<2>().unwrap_err(), 3);
    assert_eq!(ancillary.take_fds_exact::<4>().unwrap_err(), 3);
    assert_eq!((ancillary.fds().count(), parcel.held()), (3, 3));
    let numbers: Vec<_> = ancillary.fds().map(|fd| fd.as_raw_fd()).collect();
    let all = ancillary.take_fds_exact::<3>().unwrap();
    assert_eq!(all.each_ref().map(AsRawFd::as_raw_fd)[..], numbers);
    assert_eq!(ancillary.take_fds_exact::<3>().unwrap_err(), 0);
    assert!(ancillary.take_fds_exact::<0>().is_ok());
    drop(ancillary);
    assert_eq!(parcel.held(), 3);
    drop(all);
    parcel.assert_gone();

    // Those that are left count.
    let parcel = Parcel::sent(&a, b"word", 3);
    let (_, mut ancillary) = b.take(&mut [0; 8], &mut control, RecvOptions::new()).unwrap();
    let first = ancillary.take_fds().next();
    let [_second, _third] = ancillary.take_fds_exact::<2>().unwrap();
    assert_eq!(parcel.held(), 3);
    drop((ancillary, first));
    assert_eq!(parcel.held(), 2);
}

fn ancillary_that_is_dropped_by_a_panic_closes_what_was_not_taken<P: Passing>() {
    let (a, b) = P::pair();
    let parcels = [Parcel::sent(&a, b"word", 3), Parcel::sent(&a, b"word", 3)];
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let mut control = Control::new();
        let (_, mut ancillary) = b.take(&mut [0; 8], &mut control, RecvOptions::new()).unwrap();
        let (_, fds) = b.recv_fds::<3>(&mut [0; 8]).unwrap();
        let taken = (ancillary.take_fds().next(), fds.into_iter());
        std::panic::resume_unwind(Box::new(taken.1.len()));
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&3_usize));
    parcels.iter().for_each(Parcel::assert_gone);
}

fn buffer_is_used_again_without_a_thought<P: Passing>() {
    let (a, b) = P::pair();
    let mut control = Control::new();
    for count in [6, 1, 0, 5, 0, 3] {
        let parcel = Parcel::sent(&a, b"word", count);
        let (_, mut ancillary) = b.take(&mut [0; 8], &mut control, RecvOptions::new()).unwrap();
        // What was there before is no descriptor of this message.
        assert_eq!((ancillary.fds().count(), parcel.held()), (count, count));
        let taken = ancillary.take_fds().next();
        drop(ancillary);
        assert_eq!(parcel.held(), taken.iter().count());
        drop(taken);
        parcel.assert_gone();
        // It is free for sending, too, which owns nothing.
        let parcel = Parcel::new();
        control.writer().push_fds(&parcel.times(6)).unwrap();
        assert_eq!(parcel.held(), 1);
    }
}

fn fds_that_are_dropped_close_what_was_not_taken<P: Passing>() {
    let (a, b) = P::pair();
    for taken in 0..=4 {
        let parcel = Parcel::sent(&a, b"word", 4);
        let (_, fds) = b.recv_fds::<4>(&mut [0; 8]).unwrap();
        assert_eq!((fds.iter().count(), parcel.held()), (4, 4));
        let mut fds = fds.into_iter();
        let mut mine: Vec<OwnedFd> = fds.by_ref().take(taken).collect();
        assert_eq!((fds.len(), parcel.held()), (4 - taken, 4));
        drop(fds);
        assert_eq!(parcel.held(), taken);
        while mine.pop().is_some() {
            assert_eq!(parcel.held(), mine.len());
        }
        parcel.assert_gone();
    }
    let parcel = Parcel::sent(&a, b"word", 4);
    drop(b.recv_fds::<253>(&mut [0; 8]).unwrap());
    parcel.assert_gone();
}

fn fds_into_an_array_of_another_size_are_kept<P: Passing>() {
    let (a, b) = P::pair();
    let parcel = Parcel::sent(&a, b"word", 3);
    let (_, fds) = b.recv_fds::<2>(&mut [0; 8]).unwrap();
    assert_eq!((fds.len(), fds.surplus(), parcel.held()), (2, 1, 2));
    let fds = fds.into_array::<0>().unwrap_err();
    let fds = fds.into_array::<1>().unwrap_err();
    let fds = fds.into_array::<3>().unwrap_err();
    assert_eq!((fds.len(), fds.surplus(), parcel.held()), (2, 1, 2));
    let [first, second] = fds.into_array::<2>().unwrap();
    drop(first);
    assert_eq!(parcel.held(), 1);
    drop(second);
    parcel.assert_gone();

    // Dropped where it did not fit.
    let parcel = Parcel::sent(&a, b"word", 2);
    assert!(b.recv_fds::<2>(&mut [0; 8]).unwrap().1.into_array::<1>().is_err());
    parcel.assert_gone();
}

/// See "Each peek installs descriptors again" in `kernel.md`.
fn peeks_of_descriptors_install_none<P: Passing>() {
    let (a, b) = P::pair();
    let parcel = Parcel::sent(&a, b"word", 2);
    let mut control = Control::new();
    for lossy in [false, true, false] {
        let options = RecvOptions::new().peek();
        let options = if lossy { options.lossy() } else { options };
        let mut buf = [0; 8];
        let (received, mut ancillary) = b.take(&mut buf, &mut control, options).unwrap();
        assert_eq!((received.bytes, &buf), (4, b"word\0\0\0\0"));
        assert_eq!(
            (ancillary.fds().count(), ancillary.take_fds().count(), parcel.held()),
            (0, 0, 0)
        );
        assert!(ancillary.truncation().is_some());
    }
    let (_, fds) = b.recv_fds_exact::<2>(&mut [0; 8]).unwrap();
    assert_eq!(parcel.held(), 2);
    drop(fds);
    parcel.assert_gone();
}
