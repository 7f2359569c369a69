//! How much is queued: the two questions that are an `ioctl`.

use linux_raw_sys::general;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::syscall::{fd_arg, len_arg, ptr_arg, syscall};

#[cfg(not(target_arch = "sparc64"))]
use linux_raw_sys::ioctl::{FIONREAD, TIOCOUTQ};
// Which linux-raw-sys lacks.
#[cfg(target_arch = "sparc64")]
const FIONREAD: u32 = 0x4004_667f;
#[cfg(target_arch = "sparc64")]
const TIOCOUTQ: u32 = 0x4004_7473;

/// `SIOCINQ`: how many bytes can be received; for a datagram socket, how many the next message has.
#[inline]
pub(crate) fn readable(fd: BorrowedFd<'_>) -> Result<usize, Errno> {
    ask(fd, FIONREAD)
}

/// `SIOCOUTQ`: how much kernel memory takes what was sent here and not received yet.
#[inline]
pub(crate) fn unread_memory(fd: BorrowedFd<'_>) -> Result<usize, Errno> {
    ask(fd, TIOCOUTQ)
}

/// `request` must be one of the above, which give a C `int`.
#[inline]
fn ask(fd: BorrowedFd<'_>, request: u32) -> Result<usize, Errno> {
    let mut count: i32 = 0;
    let request = len_arg(request as usize);
    // SAFETY: whatever the file, both requests write one `int`, to `count`; any bytes are one.
    unsafe { syscall!(general::__NR_ioctl; fd_arg(fd), request, ptr_arg(&raw mut count)) }?;
    count.try_into().map_err(|_| Errno::PROTO)
}
