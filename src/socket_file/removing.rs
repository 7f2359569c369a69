//! What is removed, and how nothing else is: under the directory's lock, and moved aside before it is
//! looked at for the last time.

use core::ffi::CStr;

use rustix::fs::RenameFlags;
use rustix::net::connect;

use super::lock::Lock;
use super::place::{Node, Place, kernel};
use super::procfs::through;
use crate::error::{SocketFileError, Step};
use crate::sys::fd::{Opened, borrow};
use crate::sys::socket::{Kind, socket};
use crate::{BorrowedFd, Errno, OwnedFd};

/// Whether somebody has the socket whose file this is. Only what refuses a datagram socket is nobody's:
/// a live one of another type says so, and is not touched; one of its own type may take it or not.
fn is_alive(file: BorrowedFd<'_>) -> Result<bool, SocketFileError> {
    let addr = through(file, None)?.ok_or(SocketFileError::NoProcfs)?;
    let Opened(probe) = socket(Kind::Datagram).map_err(kernel(Step::Probe))?;
    Ok(connect(borrow(&probe), &addr) != Err(Errno::CONNREFUSED))
}

/// The socket whose file has the name of this place, and which nobody has any more; `None` if nothing has
/// the name. As long as the descriptor is open, no other file has its inode.
pub(super) fn stale(place: &Place) -> Result<Option<(OwnedFd, Node)>, SocketFileError> {
    let Some((file, node)) = place.open_node(place.name())? else {
        return Ok(None);
    };
    node.require_socket()?;
    if is_alive(borrow(&file))? {
        return Err(SocketFileError::InUse);
    }
    Ok(Some((file, node)))
}

/// Makes room at the name of this place: removes a socket that nobody has any more.
pub(super) fn reclaim(place: &Place, lock: &Lock) -> Result<(), SocketFileError> {
    match stale(place)? {
        Some((_file, node)) => remove(place, lock, node).map(drop),
        None => Ok(()),
    }
}

/// Removes the file if it is still that one; the answer is whether it was.
///
/// Between a look and `unlink` somebody who knows nothing of locks may put another file there. So it is
/// taken off the name first; and put back if it was another one.
pub(super) fn remove(place: &Place, _lock: &Lock, node: Node) -> Result<bool, SocketFileError> {
    if place.look(place.name())? != Some(node) {
        return Ok(false);
    }
    match place.rename(place.name(), place.temporary(), RenameFlags::NOREPLACE) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(false),
        // The file system cannot, or the disk is full; what is in the way there is another matter.
        Err(_) => return unlink_if(place, place.name(), node),
    }
    if unlink_if(place, place.temporary(), node)? {
        return Ok(true);
    }
    // It keeps the other name if this one has a file again.
    let _ = place.rename(place.temporary(), place.name(), RenameFlags::NOREPLACE);
    Ok(false)
}

/// [`remove`] where the name is the temporary one, or there is no way to move a file.
pub(super) fn unlink_if(place: &Place, name: &CStr, node: Node) -> Result<bool, SocketFileError> {
    if place.look(name)? != Some(node) {
        return Ok(false);
    }
    place.unlink(name).map(|()| true)
}

/// Removes what a process that was killed left at the temporary name.
///
/// Nobody makes or moves such a file but under the lock. Most are sockets of who was killed. One that is
/// alive was being replaced, and the name has its successor's file; or it was moved aside by mistake, and
/// the name has none: then it gets that back.
pub(super) fn clear_left_over(place: &Place, _lock: &Lock) -> Result<(), SocketFileError> {
    let Some((file, node)) = place.open_node(place.temporary())? else {
        return Ok(());
    };
    node.require_socket()?;
    if place.look(place.name())?.is_none() {
        let is_alive = match is_alive(borrow(&file)) {
            Err(SocketFileError::NoProcfs) => false,
            answer => answer?,
        };
        if is_alive {
            let back = place.rename(place.temporary(), place.name(), RenameFlags::NOREPLACE);
            return back.map_err(kernel(Step::Publish));
        }
    }
    place.unlink(place.temporary())
}
