//! How a socket's file is made: bound, given to whom it belongs, and only then to be reached.

mod publishing;

use core::ffi::CStr;

use rustix::fs::{AtFlags, CWD, Mode, chownat, fchmod, fstat};
use rustix::net::{bind, listen};

use super::SocketFile;
use super::lock::Lock;
use super::options::SocketFileOptions;
use super::place::{Place, kernel, permissions, require_socket};
use super::procfs::{chmod, through, umask};
use super::removing::{clear_left_over, reclaim, remove, unlink_if};
use crate::addr::UnixAddr;
use crate::error::{SocketFileError, Step};
use crate::sys::fd::borrow;
use crate::sys::file::Node;
use crate::sys::socket::Kind;
use crate::{BorrowedFd, Errno, OwnedFd};

/// How often a name is tried for that comes and goes.
const ATTEMPTS: u32 = 16;

/// A socket on its way to a name.
struct Making<'a> {
    options: &'a SocketFileOptions<'a>,
    place: &'a Place,
    lock: Option<Lock>,
    socket: BorrowedFd<'a>,
    /// What is given to `listen`, by those who listen.
    backlog: Option<i32>,
}

/// A file that a socket was bound to.
struct Bound {
    file: OwnedFd,
    node: Node,
}

/// Binds a fresh socket as the options have it, and has it listen if it is not of datagrams.
pub(super) fn make(
    options: &SocketFileOptions<'_>,
    kind: Kind,
    socket: BorrowedFd<'_>,
) -> Result<SocketFile, SocketFileError> {
    if let Some(mode @ 0o1000..) = options.mode {
        return Err(SocketFileError::InvalidMode { mode });
    }
    let place = Place::open(options.at, options.path)?;
    if !options.any_directory {
        place.require_secure()?;
    }
    set_first_mode(options, socket)?;
    let is_datagram = kind == Kind::Datagram;
    // The one that it will have, or none if it has to be made under another name.
    let addr = match place.addr {
        Some(addr) => Some(addr),
        None => through(place.dir(), Some(place.name().to_bytes()))?,
    };
    let hidden = options.replace
        || options.publish_ready
        || addr.is_none()
        || (is_datagram && options.changes_after_bind());
    let lock = match Lock::open(&place) {
        Ok(lock) => Some(lock),
        // Who may not read the directory cannot lock it.
        Err(Errno::ACCESS) if !hidden && !options.reclaim => None,
        Err(errno) => return Err(kernel(Step::Lock)(errno)),
    };
    let backlog = if is_datagram { None } else { Some(options.backlog) };
    let mut making = Making { options, place: &place, lock, socket, backlog };
    if let Some(lock) = &mut making.lock {
        match lock.take(options.lock_wait) {
            // What cannot be cleared away or given back, as another user's in a directory like `/tmp`, is in
            // the way of those alone who need that name.
            Ok(()) => match clear_left_over(&place, lock) {
                Err(
                    SocketFileError::Kernel { step: Step::Remove | Step::Publish, .. }
                    | SocketFileError::NotASocket { .. },
                ) if !hidden => {}
                cleared => cleared?,
            },
            Err(error) if hidden || options.reclaim || error.errno() == Errno::INTR => {
                return Err(error);
            }
            // It keeps who replaces the file from doing so until that was looked at; others could anyway.
            Err(SocketFileError::Locked) => {}
            Err(_) => making.lock = None,
        }
    }
    let Bound { file, node } = match addr {
        Some(addr) if !hidden => making.in_place(&addr)?,
        _ => making.aside()?,
    };
    drop(making);
    Ok(SocketFile::new(place, file, node, options))
}

/// Sets the mode that the file is to be born with, of which the umask takes away.
fn set_first_mode(
    options: &SocketFileOptions<'_>,
    socket: BorrowedFd<'_>,
) -> Result<(), SocketFileError> {
    let Some(mode) = options.mode else { return Ok(()) };
    // Until it belongs to another, only its owner's part means what it will mean.
    let mode = if options.changes_owner() { mode & 0o700 } else { mode };
    fchmod(socket, Mode::from_raw_mode(mode)).map_err(kernel(Step::Mode))
}

impl SocketFileOptions<'_> {
    const fn changes_owner(&self) -> bool {
        self.owner.is_some() || self.group.is_some()
    }

    /// Whether the file may have to be changed once it is there.
    fn changes_after_bind(&self) -> bool {
        self.changes_owner()
            || self.mode.is_some_and(|mode| umask().is_none_or(|umask| mode & umask != 0))
    }
}

impl Making<'_> {
    /// Under its own name from the beginning.
    fn in_place(&mut self, addr: &UnixAddr) -> Result<Bound, SocketFileError> {
        for _ in 0..ATTEMPTS {
            match bind(self.socket, addr) {
                Ok(()) => return self.bound(self.place.name(), self.place.addr.as_ref()),
                Err(Errno::ADDRINUSE) => self.make_room()?,
                Err(errno) => return Err(kernel(Step::Bind)(errno)),
            }
        }
        Err(SocketFileError::InUse)
    }

    /// Under the temporary name first, and when all is done under its own.
    fn aside(&mut self) -> Result<Bound, SocketFileError> {
        let name = self.place.temporary();
        let by_path = self.place.temporary_addr(self.options.at, self.options.path);
        let addr = match by_path {
            Some(addr) => addr,
            None => through(self.place.dir(), Some(name.to_bytes()))?
                .ok_or(SocketFileError::NoProcfs)?,
        };
        bind(self.socket, &addr).map_err(kernel(Step::Bind))?;
        let bound = self.bound(name, by_path.as_ref())?;
        match self.publish(bound.node) {
            Ok(()) => Ok(bound),
            Err(error) => {
                self.undo(name, bound.node);
                Err(error)
            }
        }
    }

    /// What is to be done once the socket has this name, to which it was bound by `path`, if by one.
    fn bound(&mut self, name: &CStr, path: Option<&UnixAddr>) -> Result<Bound, SocketFileError> {
        let node = match self.find(name, path) {
            // Once more, or what was bound would be left there.
            Err(SocketFileError::Kernel { .. }) => self.find(name, path)?,
            found => found?,
        };
        match self.set_up(name, node) {
            Ok(file) => Ok(Bound { file, node }),
            Err(error) => {
                // The socket, which is open, keeps the inode from being used again.
                self.undo(name, node);
                Err(error)
            }
        }
    }

    /// Which file the socket has, once it was bound to this name.
    fn find(&self, name: &CStr, path: Option<&UnixAddr>) -> Result<Node, SocketFileError> {
        let node = self.place.look(name)?.ok_or(SocketFileError::Moved)?;
        // The kernel went the whole way once more, and may have come to another directory.
        if let Some(path) = path.and_then(UnixAddr::as_pathname_cstr) {
            match Node::at(CWD, path) {
                Ok(found) if found == node => {}
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => return Err(SocketFileError::Moved),
                Err(errno) => return Err(kernel(Step::Look)(errno)),
            }
        }
        require_socket(node).map(|()| node)
    }

    fn set_up(&self, name: &CStr, node: Node) -> Result<OwnedFd, SocketFileError> {
        let file = match self.place.open_node(name)? {
            Some((file, same)) if same == node => file,
            _ => return Err(SocketFileError::Moved),
        };
        let (owner, group) = (self.options.owner, self.options.group);
        if self.options.changes_owner() {
            chownat(borrow(&file), c"", owner, group, AtFlags::EMPTY_PATH)
                .map_err(kernel(Step::Owner))?;
        }
        if let Some(wanted) = self.options.mode {
            if mode(&file)? != wanted {
                chmod(borrow(&file), wanted)?;
                let found = mode(&file)?;
                if found != wanted {
                    return Err(SocketFileError::Mode { wanted, found });
                }
            }
        }
        if let Some(backlog) = self.backlog {
            listen(self.socket, backlog).map_err(kernel(Step::Listen))?;
        }
        Ok(file)
    }

    /// After the name was found taken by `bind`.
    fn make_room(&self) -> Result<(), SocketFileError> {
        match &self.lock {
            Some(lock) if self.options.reclaim => reclaim(self.place, lock),
            _ => match self.place.look(self.place.name())? {
                Some(found) => require_socket(found).and(Err(SocketFileError::InUse)),
                None => Ok(()),
            },
        }
    }

    /// Takes back what was made. The error to report is the one that led here.
    #[cold]
    fn undo(&mut self, name: &CStr, node: Node) {
        let _ = match &mut self.lock {
            Some(lock) => match lock.take(self.options.lock_wait) {
                Ok(()) if name == self.place.name() => remove(self.place, lock, node),
                Ok(()) => unlink_if(self.place, name, node),
                // Left there it is stale, which is better than to take away another's.
                Err(error) => Err(error),
            },
            None => unlink_if(self.place, name, node),
        };
    }
}

fn mode(file: &OwnedFd) -> Result<u32, SocketFileError> {
    fstat(borrow(file)).map(|stat| permissions(&stat)).map_err(kernel(Step::Mode))
}
