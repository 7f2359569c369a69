//! The lock under which files of a directory change hands.

use core::time::Duration;

use linux_raw_sys::general;
use rustix::fs::{FlockOperation, flock};

use super::place::{Place, kernel};
use crate::error::{SocketFileError, Step};
use crate::socket::{Deadline, pause};
use crate::sys::fd::{borrow, openat};
use crate::{Errno, OwnedFd};

/// A descriptor by which a directory can be locked. Dropping it unlocks it.
///
/// One of its own: that by which names are looked up is open for them alone, and cannot be locked.
#[derive(Debug)]
pub(super) struct Lock {
    dir: OwnedFd,
    is_held: bool,
}

impl Lock {
    pub(super) fn open(place: &Place) -> Result<Self, Errno> {
        let dir = openat(place.dir(), c".", general::O_RDONLY | general::O_DIRECTORY)?;
        Ok(Self { dir, is_held: false })
    }

    /// Opens the directory and locks it.
    pub(super) fn taken(place: &Place, wait: Duration) -> Result<Self, SocketFileError> {
        let mut lock = Self::open(place).map_err(kernel(Step::Lock))?;
        lock.take(wait)?;
        Ok(lock)
    }

    /// Locks it, waiting for so long at the longest. It may be locked by this already.
    pub(super) fn take(&mut self, wait: Duration) -> Result<(), SocketFileError> {
        if self.is_held {
            return Ok(());
        }
        // Not one call that waits: nothing but a signal would end it.
        let deadline = Deadline::after(wait).map_err(kernel(Step::Lock))?;
        let mut rest = Duration::from_millis(1);
        loop {
            match flock(borrow(&self.dir), FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    self.is_held = true;
                    return Ok(());
                }
                Err(Errno::WOULDBLOCK) => {}
                Err(errno) => return Err(kernel(Step::Lock)(errno)),
            }
            let left = deadline.remaining().map_err(kernel(Step::Lock))?;
            if left.is_zero() {
                return Err(SocketFileError::Locked);
            }
            pause(left.min(rest)).map_err(kernel(Step::Lock))?;
            rest = rest.saturating_mul(2).min(Duration::from_millis(16));
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not left to the close: a process that was forked meanwhile has a copy of the descriptor.
        if self.is_held {
            let _ = flock(borrow(&self.dir), FlockOperation::Unlock);
        }
    }
}
