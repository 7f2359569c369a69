//! The container of received descriptors, and the room that they are received into.

use core::mem::{MaybeUninit, size_of};
use std::vec::Vec;
use std::{format, vec};

use heapless::Vec as Fixed;
use rustix::fd::{AsRawFd, OwnedFd};

use super::control::{Pipe, room, slots};
use crate::sys::control::Arrived;
use crate::sys::fds::{FdsRoom, Front};
use crate::wire::cmsg::{HEADER_LEN, SCM_RIGHTS};

fn check_room<const N: usize>() {
    let mut room = FdsRoom::<N>::new();
    let bytes = room.bytes();
    assert_eq!(bytes.len(), 56 + HEADER_LEN + 4 * N);
    assert_eq!(bytes.as_ptr().addr() % size_of::<usize>(), 0);
    bytes.fill(MaybeUninit::new(0xee));
    // As a receive would have it.
    let sent = slots(SCM_RIGHTS, &[-1; N]);
    let arrived = Arrived::installed(room.bytes(), &sent, |_| None);
    assert_eq!(arrived.iter().map(|(_, slots)| slots.len()).sum::<usize>(), 4 * N);
}

#[test]
fn the_room_for_descriptors_is_all_there() {
    check_room::<0>();
    check_room::<1>();
    check_room::<2>();
    check_room::<253>();
}

/// As many descriptors as fit are kept in order, whichever way they are moved, and none is lost.
fn check_moved<const N: usize>(numbers: &[i32]) {
    let pipe = Pipe::new();
    let mut buf = [MaybeUninit::uninit(); 512];
    let mut kept = Vec::new();
    let sent = slots(SCM_RIGHTS, numbers);
    let arrived = Arrived::installed(&mut buf, &sent, |_| {
        let copy = pipe.copy();
        kept.push(copy.as_raw_fd());
        Some(copy)
    });
    let mut fds = Fixed::<OwnedFd, N>::new();
    let surplus = arrived.into_rights(&mut fds);
    let fits = kept.len().min(N);
    assert_eq!(surplus, kept.len() - fits, "{numbers:?}");
    assert!(fds.iter().map(AsRawFd::as_raw_fd).eq(kept[..fits].iter().copied()), "{numbers:?}");
    drop(fds);
    pipe.assert_closed();
}

#[test]
fn descriptors_are_moved_in_order_with_gaps_and_without() {
    let mut many = [0; 19];
    for count in if cfg!(miri) { vec![9, 17] } else { (0..=19).collect() } {
        check_moved::<0>(&many[..count]);
        check_moved::<1>(&many[..count]);
        check_moved::<8>(&many[..count]);
        check_moved::<11>(&many[..count]);
        check_moved::<16>(&many[..count]);
        check_moved::<19>(&many[..count]);
    }
    for gap in if cfg!(miri) { vec![2, 7] } else { (0..19).collect() } {
        many[gap] = -1;
        check_moved::<9>(&many);
        check_moved::<19>(&many);
        many[gap] = 0;
    }
}

#[test]
fn what_is_not_taken_from_the_front_is_closed() {
    for taken in 0..=4 {
        let pipe = Pipe::new();
        let mut buf = room();
        let sent = slots(SCM_RIGHTS, &[0; 3]);
        let arrived = Arrived::installed(&mut buf, &sent, |_| Some(pipe.copy()));
        let mut fds = Fixed::<OwnedFd, 4>::new();
        arrived.into_rights(&mut fds);
        let all: Vec<i32> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let mut front = Front::new(fds);
        assert_eq!(front.rest().len(), 3);
        let first: Vec<OwnedFd> = front.by_ref().take(taken).collect();
        let taken = taken.min(3);
        assert!(first.iter().map(AsRawFd::as_raw_fd).eq(all[..taken].iter().copied()));
        assert!(front.rest().iter().map(AsRawFd::as_raw_fd).eq(all[taken..].iter().copied()));
        assert_eq!(format!("{front:?}"), format!("{:?}", front.rest()));
        drop(front);
        drop(first);
        pipe.assert_closed();
    }
}
