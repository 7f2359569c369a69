//! Each descriptor in turn is the one that cannot be had.

use afunix::{Errno, SocketFileError};

use crate::common::limits::with_left;
use crate::common::{Watchdog, open_fds, passes_in_child};
use crate::operations::{OPERATIONS, Operation, Ready};
use crate::world::{NAME, World};

/// No operation needs as many at once.
const ENOUGH: libc::rlim_t = 10;

#[test]
fn without_a_descriptor_nothing_is_left_behind() {
    passes_in_child("descriptors::without_a_descriptor_nothing_is_left_behind", || {
        let _watchdog = Watchdog::new();
        // SAFETY: a number alone.
        unsafe { libc::umask(0o077) };
        for operation in OPERATIONS {
            let answers: Vec<_> =
                (0..ENOUGH).map(|left| with_descriptors(operation, left)).collect();
            let failed = answers.iter().filter(|is_done| !**is_done).count();
            // The lock of the directory is one; a socket, the directory, its lock and the file are four.
            let least = if operation.removes() { 1 } else { 4 };
            assert!(failed >= least, "{operation:?}: {answers:?}");
            assert!(answers[failed..].iter().all(|is_done| *is_done), "{operation:?}: {answers:?}");
        }
    });
}

/// Whether it is done with so many descriptors.
fn with_descriptors(operation: Operation, left: libc::rlim_t) -> bool {
    let world = World::new();
    let before = operation.before(&world);
    let path = world.bytes();
    let ready = Ready::new(operation, &path, &world.folder());
    let (open, entries) = (open_fds(), world.entries());
    let done = with_left(left, || operation.make(&ready, &path));
    let what = format!("{operation:?}, {left} descriptors: {done:?}, {:?}", world.entries());
    match &done {
        Ok(_) => {
            let count = world.entries().iter().filter(|(name, _)| name == NAME).count();
            assert_eq!(count, usize::from(!operation.removes()), "{what}");
            return true;
        }
        Err(error) => {
            assert!(matches!(error, SocketFileError::Kernel { errno: Errno::MFILE, .. }), "{what}");
        }
    }
    assert_eq!(open_fds(), open, "{what}");
    let may_go = matches!(operation, Operation::Reclaim | Operation::ReclaimReady);
    let left = world.entries();
    assert!(left == entries || (may_go && left.is_empty()), "{what}");
    assert!(before.server.is_none() || before.is_served(&world.path()), "{what}");
    operation.make(&ready, &path).expect(&what);
    false
}
