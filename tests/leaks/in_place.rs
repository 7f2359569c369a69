//! A container that is received into again and again: what it held is closed when something comes, and
//! only then.

use afunix::{Errno, Fds, RecvError};

use crate::check::Parcel;
use crate::common::emulated::{CUT, left_out_by_qemu};
use crate::ways::Passing;

leak_tests!(
    what_was_there_is_closed_when_something_comes
    what_was_there_stays_when_nothing_comes
    what_was_there_stays_when_a_part_is_lost
    surplus_is_closed_and_counted_anew
    end_of_a_connection_leaves_none
);

fn what_was_there_is_closed_when_something_comes<P: Passing>() {
    let (a, b) = P::pair();
    let mut fds = Fds::<8>::new();
    let mut before: Option<(Parcel, usize)> = None;
    for count in [3, 8, 0, 1, 8, 5] {
        let parcel = Parcel::new();
        a.send_fds(b"word", &parcel.times(count)).unwrap();
        if let Some((parcel, count)) = &before {
            assert_eq!(parcel.held(), *count);
        }
        assert_eq!(b.recv_fds_into(&mut [0; 8], &mut fds).unwrap().bytes, 4);
        assert_eq!((fds.len(), fds.surplus(), fds.iter().count()), (count, 0, count));
        let mut parcel = parcel;
        parcel.release();
        assert_eq!(parcel.held(), count);
        if let Some((parcel, _)) = before.replace((parcel, count)) {
            parcel.assert_gone();
        }
    }
    drop(fds);
    before.unwrap().0.assert_gone();
}

fn what_was_there_stays_when_nothing_comes<P: Passing>() {
    let (a, b) = P::pair();
    let (mut fds, parcel) = (Fds::<2>::new(), Parcel::sent(&a, b"word", 2));
    let _ = b.recv_fds_into(&mut [0; 8], &mut fds).unwrap();
    b.set_nonblocking(true);
    let nothing = Err(RecvError::Kernel(Errno::AGAIN));
    assert_eq!(b.recv_fds_into(&mut [0; 8], &mut fds), nothing);
    assert_eq!((fds.len(), parcel.held()), (2, 2));
    drop(fds);
    parcel.assert_gone();
}

fn what_was_there_stays_when_a_part_is_lost<P: Passing>() {
    if left_out_by_qemu(CUT) {
        return;
    }
    let (a, b) = P::pair();
    let (mut fds, parcel) = (Fds::<2>::new(), Parcel::sent(&a, b"word", 2));
    let _ = b.recv_fds_into(&mut [0; 8], &mut fds).unwrap();
    let (many, mut buf) = (Parcel::sent(&a, b"many", 40), [0; 8]);
    let lost = b.recv_fds_into(&mut buf, &mut fds).unwrap_err();
    assert!(matches!(lost, RecvError::ControlTruncated { bytes: 4, closed: 16, .. }), "{lost:?}");
    assert_eq!(&buf[..4], b"many");
    many.assert_gone();
    assert_eq!((fds.len(), parcel.held()), (2, 2));
    drop(fds);
    parcel.assert_gone();
}

fn surplus_is_closed_and_counted_anew<P: Passing>() {
    let (a, b) = P::pair();
    let mut fds = Fds::<2>::new();
    for (count, surplus) in [(7, 5), (2, 0), (3, 1), (0, 0)] {
        let parcel = Parcel::sent(&a, b"word", count);
        let _ = b.recv_fds_into(&mut [0; 8], &mut fds).unwrap();
        assert_eq!((fds.len(), fds.surplus()), (count.min(2), surplus));
        assert_eq!(parcel.held(), count.min(2));
    }
}

fn end_of_a_connection_leaves_none<P: Passing>() {
    let (a, b) = P::pair();
    let (mut fds, parcel) = (Fds::<2>::new(), Parcel::sent(&a, b"word", 2));
    let _ = b.recv_fds_into(&mut [0; 8], &mut fds).unwrap();
    if P::CONNECTS {
        drop(a);
        assert_eq!(b.recv_fds_into(&mut [0; 8], &mut fds).unwrap().bytes, 0);
        assert!(fds.is_empty());
        parcel.assert_gone();
    }
}
