//! Files: which one it is, and by their descriptors what rustix has no call for.

use core::ffi::CStr;

use linux_raw_sys::general;
use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, FileType, Stat, statat};
use rustix::io::Errno;

use super::syscall::{fd_arg, int_arg, ptr_arg, syscall};

/// Sets the permissions of the very file that an `O_PATH` descriptor is open on. `ENOSYS` before
/// Linux 6.6.
#[inline]
pub(crate) fn chmod(file: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    const FLAGS: i32 = general::AT_EMPTY_PATH.cast_signed();
    let (path, mode) = (ptr_arg(c"".as_ptr()), int_arg(mode.cast_signed()));
    // SAFETY: the kernel reads the empty C string; all else is numbers.
    unsafe { syscall!(general::__NR_fchmodat2; fd_arg(file), path, mode, int_arg(FLAGS)) }?;
    Ok(())
}

/// Which file it is, for as long as something keeps its inode from being used again, and of what type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Node {
    dev: u64,
    ino: u64,
    pub(crate) kind: FileType,
}

impl Node {
    pub(crate) fn of(stat: &Stat) -> Self {
        // Their width is the machine's.
        #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
        let (dev, ino) = (u64::from(stat.st_dev), u64::from(stat.st_ino));
        Self { dev, ino, kind: FileType::from_raw_mode(stat.st_mode) }
    }

    /// What a path leads to, a symbolic link itself.
    pub(crate) fn at(dir: BorrowedFd<'_>, path: &CStr) -> Result<Self, Errno> {
        statat(dir, path, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Self::of(&stat))
    }

    pub(crate) fn is_socket(self) -> bool {
        self.kind == FileType::Socket
    }
}
