//! What is removed, and how nothing else is: under the directory's lock, and moved aside before it is
//! looked at for the last time.

use core::ffi::CStr;

use rustix::fs::{RenameFlags, fstat};
use rustix::net::connect;

use super::lock::Lock;
use super::place::{Place, kernel, lacks, require_socket};
use super::procfs::through;
use crate::error::{SocketFileError, Step};
use crate::sys::fd::{Opened, borrow};
use crate::sys::file::Node;
use crate::sys::socket::{Kind, socket};
use crate::{BorrowedFd, Errno, OwnedFd};

/// Whether somebody has the socket whose file this is. Only what refuses a datagram socket is nobody's:
/// a live one of another type says so, and is not touched; one of its own type may take it or not.
fn is_alive(file: BorrowedFd<'_>) -> Result<bool, SocketFileError> {
    let addr = through(file, None)?.ok_or(SocketFileError::NoProcfs)?;
    let Opened(probe) = socket(Kind::Datagram).map_err(kernel(Step::Probe))?;
    Ok(connect(borrow(&probe), &addr) != Err(Errno::CONNREFUSED))
}

/// The socket at the name of this place, if nobody has it any more; all else there is an error.
pub(super) fn stale(place: &Place) -> Result<Option<(OwnedFd, Node)>, SocketFileError> {
    let Some((file, node)) = place.open_node(place.name())? else {
        return Ok(None);
    };
    require_socket(node)?;
    if is_alive(borrow(&file))? {
        return Err(SocketFileError::InUse);
    }
    Ok(Some((file, node)))
}

/// Makes room at the name of this place: removes a socket that nobody has any more.
pub(super) fn reclaim(place: &Place, lock: &Lock) -> Result<(), SocketFileError> {
    match stale(place)? {
        // `_file` keeps the inode from being used again until then.
        Some((_file, node)) => remove(place, lock, node).map(drop),
        None => Ok(()),
    }
}

/// Removes the file if it is still that one; the answer is whether it was.
///
/// Between a look and `unlink` somebody who knows nothing of locks may put another file there. So it is
/// taken off the name first; and put back if it was another one, or cannot be removed.
///
/// The temporary name is not this process's own meanwhile.
pub(super) fn remove(place: &Place, lock: &Lock, node: Node) -> Result<bool, SocketFileError> {
    if place.look(place.name())? != Some(node) {
        return Ok(false);
    }
    let mut moved = place.rename(place.name(), place.temporary(), RenameFlags::NOREPLACE);
    if moved == Err(Errno::EXIST) && clear_left_over(place, lock).is_ok() {
        moved = place.rename(place.name(), place.temporary(), RenameFlags::NOREPLACE);
    }
    match moved {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(false),
        // The file system cannot, or the disk is full; what is in the way there is another matter.
        Err(_) => return unlink_if(place, place.name(), node),
    }
    let removed = unlink_if(place, place.temporary(), node);
    if removed != Ok(true) {
        // It keeps the other name if this one has a file again.
        let _ = place.rename(place.temporary(), place.name(), RenameFlags::NOREPLACE);
    }
    removed
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
/// alive was being replaced, or it was moved aside by mistake: it gets the name back if nothing has that, or
/// a socket that nobody has, as of a successor who was killed. What is no socket came there by mistake, and
/// gets the name back likewise.
pub(super) fn clear_left_over(place: &Place, _lock: &Lock) -> Result<(), SocketFileError> {
    let (name, temporary) = (place.name(), place.temporary());
    let Some((file, node)) = place.open_node(temporary)? else {
        return Ok(());
    };
    let is_wanted = !node.is_socket() || is_known_alive(borrow(&file))?;
    match place.open_node(name)? {
        None if is_wanted => {
            place.rename(temporary, name, RenameFlags::NOREPLACE).map_err(kernel(Step::Publish))
        }
        Some((named, other)) if is_wanted && is_free_for(&file, &named, other)? => {
            match place.rename(temporary, name, RenameFlags::EXCHANGE) {
                Ok(()) => unlink_if(place, temporary, other).map(drop),
                // Who was killed had no way either to take the name from it.
                Err(errno) if lacks(errno) && node.is_socket() => place.unlink(temporary),
                Err(errno) => Err(kernel(Step::Publish)(errno)),
            }
        }
        Some(_) if !node.is_socket() => require_socket(node),
        _ => place.unlink(temporary),
    }
}

/// Whether a name can be taken for this file from that one: a socket that nobody has, of the same user. In
/// a directory like `/tmp` anybody can put a file at the temporary name.
fn is_free_for(file: &OwnedFd, named: &OwnedFd, other: Node) -> Result<bool, SocketFileError> {
    let owner = |file| fstat(borrow(file)).map(|stat| stat.st_uid).map_err(kernel(Step::Look));
    Ok(other.is_socket() && owner(file)? == owner(named)? && !is_alive(borrow(named))?)
}

/// [`is_alive`], or `false` where that cannot be told.
fn is_known_alive(file: BorrowedFd<'_>) -> Result<bool, SocketFileError> {
    match is_alive(file) {
        Err(SocketFileError::NoProcfs) => Ok(false),
        answer => answer,
    }
}
