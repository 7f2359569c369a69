//! What only procfs gives: addresses that lead through a descriptor, permissions of the file that one is
//! open on, and the umask.

use core::ffi::CStr;

use linux_raw_sys::general;
use rustix::fs::{AtFlags, CWD, Mode, PROC_SUPER_MAGIC, chmodat, statfs};

use super::place::kernel;
use super::text::{Digits, Text};
use crate::addr::{SUN_PATH_LEN, UnixAddr};
use crate::error::{SocketFileError, Step};
use crate::sys;
use crate::sys::data::read;
use crate::sys::fd::{borrow, openat};
use crate::{AsRawFd, BorrowedFd, Errno};

/// The thread's own first: that of the process is empty once its first thread has ended.
const FOLDERS: [&CStr; 2] = [c"/proc/thread-self/fd", c"/proc/self/fd"];

/// A path through a descriptor. With room for its NUL, an address of any length fits.
type Path = Text<{ SUN_PATH_LEN + 1 }>;

/// The folder with this thread's descriptors, in what is procfs and not a folder that looks like it.
fn folder() -> Option<&'static CStr> {
    let is_procfs = |path: &CStr| statfs(path).is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC);
    FOLDERS.into_iter().find(|path| is_procfs(path))
}

/// `name` is that of a file in the directory that the descriptor is open on. `Ok(None)`: it is too long.
fn path(fd: BorrowedFd<'_>, name: Option<&[u8]>) -> Result<Option<Path>, SocketFileError> {
    let folder = folder().ok_or(SocketFileError::NoProcfs)?;
    let digits = Digits::decimal(fd.as_raw_fd().unsigned_abs());
    let slash = if name.is_some() { &b"/"[..] } else { b"" };
    let name = name.unwrap_or_default();
    Ok(Path::joined(&[folder.to_bytes(), b"/", digits.as_bytes(), slash, name]))
}

/// The address of the file that a descriptor is open on; or, with a name, of one in that directory, for
/// which a long name leaves no room (`None`).
///
/// It is good as long as the descriptor is open, for whoever has it by that number.
pub(super) fn through(
    fd: BorrowedFd<'_>,
    name: Option<&[u8]>,
) -> Result<Option<UnixAddr>, SocketFileError> {
    Ok(path(fd, name)?.and_then(|path| UnixAddr::from_pathname(path.as_bytes()).ok()))
}

/// Sets the permissions of the very file that an `O_PATH` descriptor is open on.
pub(super) fn chmod(file: BorrowedFd<'_>, mode: u32) -> Result<(), SocketFileError> {
    match path(file, None) {
        Ok(Some(path)) => {
            chmodat(CWD, path.as_c_str(), Mode::from_raw_mode(mode), AtFlags::empty())
                .map_err(kernel(Step::Mode))
        }
        // The last resort: a program may be killed by a seccomp filter for a call that is newer than that.
        _ => sys::file::chmod(file, mode).map_err(|errno| match errno {
            Errno::NOSYS => SocketFileError::NoProcfs,
            errno => kernel(Step::Mode)(errno),
        }),
    }
}

/// The umask, if it can be learned without changing it.
pub(super) fn umask() -> Option<u32> {
    folder()?;
    // It stands in the second line, and the first is short.
    let mut status = [0; 256];
    let count = || -> Result<usize, Errno> {
        let file = openat(CWD, c"/proc/thread-self/status", general::O_RDONLY)?;
        read(borrow(&file), &mut status)
    }();
    crate::wire::status::umask(status.get(..count.ok()?)?)
}
