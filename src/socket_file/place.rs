//! A name in a directory that is opened once, and looked at before anything is done there.

use core::ffi::CStr;

use linux_raw_sys::general;
use rustix::fs::{AtFlags, CWD, RenameFlags, Stat, fstat, renameat, renameat_with, unlinkat};
use rustix::process::geteuid;

use super::text::{Digits, Text};
use crate::addr::{SUN_PATH_LEN, UnixAddr};
use crate::error::{SocketFileError, Step};
use crate::sys::fd::{borrow, openat};
use crate::sys::file::Node;
use crate::{BorrowedFd, Errno, OwnedFd, Uid};

const NAME_MAX: usize = general::NAME_MAX as usize + 1;
const PATH_MAX: usize = general::PATH_MAX as usize;

/// The longest name that an address through a descriptor has room for, whatever its number.
const SHORT: usize = 68;

/// An error of the kernel, in the step that it came from.
pub(super) fn kernel(step: Step) -> impl Fn(Errno) -> SocketFileError {
    move |errno| SocketFileError::Kernel { step, errno }
}

/// Whether a file system or a kernel has no such way to rename.
pub(super) const fn lacks(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS)
}

/// An open directory, and a name in it.
#[derive(Debug)]
pub(super) struct Place {
    dir: OwnedFd,
    name: Text<NAME_MAX>,
    temporary: Text<{ SHORT + 1 }>,
    /// The path's own address, if that is long enough for it.
    pub(super) addr: Option<UnixAddr>,
}

impl Place {
    /// Opens the directory of a path, which is relative to `at` as `openat` has it.
    pub(super) fn open(at: Option<BorrowedFd<'_>>, path: &[u8]) -> Result<Self, SocketFileError> {
        Text::<PATH_MAX>::check(path)?;
        let (parent, name) = split(path);
        if matches!(name, b"" | b"." | b"..") {
            return Err(SocketFileError::NoName);
        }
        // A file there would be taken for what a process left that was killed.
        if is_temporary(name) {
            return Err(SocketFileError::ReservedName);
        }
        let name = Text::of(name)?;
        let temporary = temporary(name.as_bytes()).ok_or(SocketFileError::NoName)?;
        let parent = if parent.is_empty() { b"." } else { parent };
        let dir = open_dir(at.unwrap_or(CWD), parent)?;
        let addr = if is_plain(at, path) { UnixAddr::from_pathname(path).ok() } else { None };
        Ok(Self { dir, name, temporary, addr })
    }

    pub(super) fn name(&self) -> &CStr {
        self.name.as_c_str()
    }

    /// What the file is called while it is made or removed.
    pub(super) fn temporary(&self) -> &CStr {
        self.temporary.as_c_str()
    }

    /// The address of the temporary name in the directory that `path` leads to, where it fits one.
    pub(super) fn temporary_addr(
        &self,
        at: Option<BorrowedFd<'_>>,
        path: &[u8],
    ) -> Option<UnixAddr> {
        if !is_plain(at, path) {
            return None;
        }
        let beside =
            Text::<{ SUN_PATH_LEN + 1 }>::joined(&[split(path).0, self.temporary.as_bytes()])?;
        UnixAddr::from_pathname(beside.as_bytes()).ok()
    }

    pub(super) fn dir(&self) -> BorrowedFd<'_> {
        borrow(&self.dir)
    }

    /// Refuses a directory where others than root and this process's user may replace files.
    pub(super) fn require_secure(&self) -> Result<(), SocketFileError> {
        const OTHERS_WRITE: u32 = 0o022;
        const STICKY: u32 = 0o1000;
        let stat = fstat(self.dir()).map_err(kernel(Step::Directory))?;
        let (uid, mode) = (Uid::from_raw_unchecked(stat.st_uid), permissions(&stat));
        let ours = uid.is_root() || uid == geteuid();
        if ours && (mode & OTHERS_WRITE == 0 || mode & STICKY != 0) {
            Ok(())
        } else {
            Err(SocketFileError::Insecure { uid, mode })
        }
    }

    /// What has this name, a symbolic link itself; `None` if nothing has.
    pub(super) fn look(&self, name: &CStr) -> Result<Option<Node>, SocketFileError> {
        match Node::at(self.dir(), name) {
            Ok(node) => Ok(Some(node)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(kernel(Step::Look)(errno)),
        }
    }

    /// Opens what has this name, a symbolic link itself, so that its inode stays its own; `None` if
    /// nothing has.
    pub(super) fn open_node(
        &self,
        name: &CStr,
    ) -> Result<Option<(OwnedFd, Node)>, SocketFileError> {
        let flags = general::O_PATH | general::O_NOFOLLOW;
        let file = match openat(self.dir(), name, flags) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(kernel(Step::Look)(errno)),
        };
        let node = Node::of(&fstat(borrow(&file)).map_err(kernel(Step::Look))?);
        Ok(Some((file, node)))
    }

    pub(super) fn unlink(&self, name: &CStr) -> Result<(), SocketFileError> {
        match unlinkat(self.dir(), name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(kernel(Step::Remove)(errno)),
        }
    }

    pub(super) fn rename(&self, from: &CStr, to: &CStr, how: RenameFlags) -> Result<(), Errno> {
        if how.is_empty() {
            // Not by `renameat2`, which an old kernel does not have.
            return renameat(self.dir(), from, self.dir(), to);
        }
        renameat_with(self.dir(), from, self.dir(), to, how)
    }
}

/// Not inlined: its pages of text are no longer on the stack when all else is done.
#[inline(never)]
fn open_dir(at: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, SocketFileError> {
    let path = Text::<PATH_MAX>::of(path)?;
    let flags = general::O_PATH | general::O_DIRECTORY;
    openat(at, path.as_c_str(), flags).map_err(kernel(Step::Directory))
}

/// The directory of a path with the slash at its end, or nothing; and the last part.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    let name = slash.map_or(0, |slash| slash.saturating_add(1));
    path.split_at_checked(name).unwrap_or_default()
}

const SUFFIX: &[u8] = b".afunix";

/// Whether a name has the form of [`temporary`].
fn is_temporary(name: &[u8]) -> bool {
    let inside = name.strip_prefix(b".").and_then(|rest| rest.strip_suffix(SUFFIX));
    inside.is_some_and(|inside| !inside.is_empty())
}

/// What a file of this name is called while it is made or removed: the same each time, so that one which
/// is left over is found again, and short enough for an address through a descriptor.
fn temporary(name: &[u8]) -> Option<Text<{ SHORT + 1 }>> {
    if let Some(whole) = Text::joined(&[b".", name, SUFFIX]) {
        return Some(whole);
    }
    // FNV-1a: two names that share a number only take turns, as all do in one directory.
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let first = name.get(..32)?;
    Text::joined(&[b".", first, b"~", Digits::hexadecimal(hash).as_bytes(), SUFFIX])
}

/// Whether a path means the same to other processes that have the same working directory.
fn is_plain(at: Option<BorrowedFd<'_>>, path: &[u8]) -> bool {
    at.is_none() || path.starts_with(b"/")
}

pub(super) const fn permissions(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

/// What is no socket is nobody's business here.
pub(super) fn require_socket(node: Node) -> Result<(), SocketFileError> {
    if node.is_socket() { Ok(()) } else { Err(SocketFileError::NotASocket { found: node.kind }) }
}
