//! Files by their descriptors, where rustix has no call.

use linux_raw_sys::general;
use rustix::fd::BorrowedFd;
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
