//! A receiver that may not open as many descriptors as it is sent. See "No free descriptor is no error"
//! in `kernel.md`: the message is taken, so what cannot be installed is lost, and must be told.

use afunix::{AncillaryBuf, Errno, RecvError, RecvOptions, Space, Truncation};

use crate::check::{Parcel, with_left};
use crate::common::emulated::{CUT, left_out_by_qemu};
use crate::ways::{Got, Passing};

leak_tests!(
    receive_of_more_than_may_be_opened_is_an_error_and_keeps_the_data
    lossy_receive_gives_what_could_be_opened
    buffer_that_is_full_to_the_last_descriptor_tells_nothing_of_the_cause
    receive_that_lacks_room_and_numbers_closes_what_came
    pidfd_that_could_not_be_made_is_an_error_of_its_own
    descriptor_takes_the_last_number_before_the_pidfd
    message_without_descriptors_needs_no_number
);

/// Room for six descriptors, so that there is room left behind those that come here.
type Control = AncillaryBuf<{ Space::new().credentials().rights::<6>().pidfd().bytes() }>;

#[track_caller]
fn assert_not_installed<T>(answer: Result<T, RecvError>, expected: usize) {
    let Err(RecvError::ControlTruncated { bytes, size, closed, cause, .. }) = answer else {
        panic!("{:?}", answer.map(drop));
    };
    assert_eq!((bytes, size, closed, cause), (4, 4, expected, Truncation::NotInstalled));
}

/// Has `call` receive a parcel of three when `left` numbers are free.
fn receive_three<P: Passing, R>(left: usize, call: impl FnOnce(&P, &mut [u8]) -> R) -> R {
    let ((a, b), mut buf) = (P::pair(), [0; 8]);
    let parcel = Parcel::sent(&a, b"word", 3);
    let answer = with_left(left as libc::rlim_t, || call(&b, &mut buf));
    assert_eq!(&buf, b"word\0\0\0\0");
    parcel.assert_gone();
    // The socket is none the worse.
    let parcel = Parcel::sent(&a, b"next", 1);
    drop(b.recv_fds_exact::<1>(&mut buf).unwrap());
    assert_eq!(&buf, b"next\0\0\0\0");
    parcel.assert_gone();
    answer
}

fn receive_of_more_than_may_be_opened_is_an_error_and_keeps_the_data<P: Passing>() {
    for left in 0..=4 {
        let fds = receive_three(left, |b: &P, buf| b.recv_fds::<3>(buf).map(|got| got.1.len()));
        let exact =
            receive_three(left, |b: &P, buf| b.recv_fds_exact::<3>(buf).map(|got| got.1.len()));
        let one = receive_three(left, |b: &P, buf| b.recv_fds::<1>(buf).map(|got| got.1.len()));
        let with = receive_three(left, |b: &P, buf| {
            b.take(buf, &mut Control::new(), RecvOptions::new()).map(|got| got.1.fds().count())
        });
        if left < 3 {
            for answer in [fds, exact, one, with] {
                assert_not_installed(answer, left);
            }
        } else {
            assert_eq!([fds, exact, one, with], [Ok(3), Ok(3), Ok(1), Ok(3)]);
        }
    }
}

fn lossy_receive_gives_what_could_be_opened<P: Passing>() {
    for left in 0..=4 {
        receive_three(left, |b: &P, buf| {
            let (mut control, lossy) = (Control::new(), RecvOptions::new().lossy());
            let (received, mut ancillary) = b.take(buf, &mut control, lossy).unwrap();
            assert_eq!((received.bytes, ancillary.fds().count()), (4, left.min(3)));
            let lost = (left < 3).then_some(Truncation::NotInstalled);
            assert_eq!(ancillary.truncation(), lost);
            // Half of them are taken, and work.
            for fd in ancillary.take_fds().take(left / 2) {
                let _: (i32, u64, i32, i32) = crate::common::identity(&fd);
            }
        });
    }
}

/// Where the buffer ends with the descriptors that came, room may have been lacking as well.
fn buffer_that_is_full_to_the_last_descriptor_tells_nothing_of_the_cause<P: Passing>() {
    const TWO: usize = size_of::<usize>() + 8 + 2 * 4;
    let cause = |left| {
        receive_three(left, |b: &P, buf| {
            let (mut control, lossy) = (AncillaryBuf::<TWO>::new(), RecvOptions::new().lossy());
            let (_, ancillary) = b.take(buf, &mut control, lossy).unwrap();
            (ancillary.fds().count(), ancillary.truncation())
        })
    };
    assert_eq!(cause(0), (0, Some(Truncation::NotInstalled)));
    assert_eq!(cause(1), (1, Some(Truncation::Unknown)));
    if left_out_by_qemu(CUT) {
        return;
    }
    assert_eq!(cause(2), (2, Some(Truncation::BufferFull)));
    assert_eq!(cause(3), (2, Some(Truncation::BufferFull)));
    let error = receive_three(1, |b: &P, buf| {
        b.take(buf, &mut AncillaryBuf::<TWO>::new(), RecvOptions::new()).map(drop)
    });
    let Err(RecvError::ControlTruncated { bytes: 4, size: 4, closed: 1, cause, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(cause, Truncation::Unknown);
}

fn receive_that_lacks_room_and_numbers_closes_what_came<P: Passing>() {
    for left in 0..=3 {
        let ((a, b), mut buf) = (P::pair(), [0; 8]);
        let parcels = [(); 3].map(|()| Parcel::sent(&a, b"word", 250));
        with_left(left as libc::rlim_t, || {
            assert_not_installed(b.recv_fds::<1>(&mut buf).map(drop), left);
            assert_not_installed(b.recv_fds_exact::<1>(&mut buf).map(drop), left);
            // Room for none: no number would have helped.
            let mut control = AncillaryBuf::<8>::new();
            let answer = b.take(&mut buf, &mut control, RecvOptions::new());
            assert!(matches!(
                answer.unwrap_err(),
                RecvError::ControlTruncated { closed: 0, cause: Truncation::BufferFull, .. }
            ));
        });
        assert_eq!(&buf, b"word\0\0\0\0");
        parcels.iter().for_each(Parcel::assert_gone);
    }
}

/// The pidfd of a message: whether one came, or the errno; and what the message says is missing.
type Pidfd = (Result<bool, Errno>, Option<Truncation>);

fn pidfd_of(got: Got<'_>) -> Pidfd {
    let (received, mut ancillary) = got.unwrap();
    assert_eq!(received.bytes, 4);
    assert!(ancillary.credentials().is_some());
    let pidfd = ancillary.take_pidfd();
    // The errno is not taken by being told.
    assert_eq!(pidfd.as_ref().err(), ancillary.take_pidfd().as_ref().err());
    (pidfd.map(|pidfd| pidfd.is_some()), ancillary.truncation())
}

fn pidfd_that_could_not_be_made_is_an_error_of_its_own<P: Passing>() {
    let Some((a, b)) = P::attesting_pair() else { return };
    let mut control = Control::new();
    let mut buf = [0; 8];
    // Nothing else came, and nothing else is missing: to the kernel that is a whole message.
    a.put(b"word").unwrap();
    let got = with_left(0, || pidfd_of(b.take(&mut buf, &mut control, RecvOptions::new())));
    assert_eq!(got, (Err(Errno::MFILE), None));
    a.put(b"word").unwrap();
    let none = with_left(0, || b.recv_fds::<1>(&mut buf).map(|(_, fds)| fds.len()));
    assert_eq!(none, Ok(0));
    a.put(b"word").unwrap();
    let none = with_left(0, || b.recv_fds_exact::<0>(&mut buf).map(|(_, fds)| fds.len()));
    assert_eq!(none, Ok(0));

    // With descriptors, which are missing too.
    let parcel = Parcel::sent(&a, b"word", 2);
    let answer = with_left(0, || b.take(&mut buf, &mut control, RecvOptions::new()).map(drop));
    assert_not_installed(answer, 0);
    parcel.assert_gone();
    let parcel = Parcel::sent(&a, b"word", 2);
    let lossy = RecvOptions::new().lossy();
    let got = with_left(0, || pidfd_of(b.take(&mut buf, &mut control, lossy)));
    assert_eq!(got, (Err(Errno::MFILE), Some(Truncation::NotInstalled)));
    parcel.assert_gone();

    a.put(b"word").unwrap();
    let got = with_left(1, || pidfd_of(b.take(&mut buf, &mut control, RecvOptions::new())));
    assert_eq!(got, (Ok(true), None));
}

fn descriptor_takes_the_last_number_before_the_pidfd<P: Passing>() {
    let Some((a, b)) = P::attesting_pair() else { return };
    let mut control = Control::new();
    let mut buf = [0; 8];
    for left in 1..=3 {
        let parcels = [(); 3].map(|()| Parcel::sent(&a, b"word", 1));
        let expected = if left == 1 { Err(Errno::MFILE) } else { Ok(true) };
        with_left(left, || {
            let got = b.take(&mut buf, &mut control, RecvOptions::new());
            assert_eq!(got.as_ref().map(|(_, ancillary)| ancillary.fds().count()), Ok(1));
            assert_eq!(pidfd_of(got), (expected, None));
            assert_eq!(b.recv_fds::<1>(&mut buf).unwrap().1.len(), 1);
            assert_eq!(b.recv_fds_exact::<1>(&mut buf).unwrap().1.len(), 1);
        });
        parcels.iter().for_each(Parcel::assert_gone);
    }
}

fn message_without_descriptors_needs_no_number<P: Passing>() {
    let (a, b) = P::pair();
    let mut buf = [0; 4];
    with_left(0, || {
        a.put(b"word").unwrap();
        assert_eq!(b.recv_fds::<4>(&mut buf).unwrap().1.len(), 0);
        a.put(b"word").unwrap();
        assert_eq!(b.recv_fds_exact::<0>(&mut buf).unwrap().1.len(), 0);
        a.put(b"word").unwrap();
        let mut control = Control::new();
        let (_, ancillary) = b.take(&mut buf, &mut control, RecvOptions::new()).unwrap();
        assert_eq!((ancillary.fds().count(), ancillary.truncation()), (0, None));
    });
    assert_eq!(&buf, b"word");
}
