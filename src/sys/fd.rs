//! Descriptors: how a number that the kernel gave becomes owned, and calls that make one.

use core::ffi::CStr;
use core::mem::transmute;

use linux_raw_sys::general;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;

use super::syscall::{fd_arg, int_arg, ptr_arg, syscall};

/// Takes ownership of a descriptor that the kernel just installed for us.
///
/// What is no `int`, or a negative one, is refused with `EBADF`: it is no descriptor, whatever the
/// call said.
///
/// # Safety
///
/// A number that is not negative must be an open descriptor that nothing else owns.
#[inline(always)]
pub(crate) unsafe fn adopt(raw: usize) -> Result<OwnedFd, Errno> {
    // SAFETY: the caller's promise.
    unsafe { adopt_opened(raw) }.map(|Opened(fd)| fd)
}

/// [`adopt`] where the owner is still to come.
///
/// # Safety
///
/// As there.
#[inline(always)]
pub(super) unsafe fn adopt_opened(raw: usize) -> Result<Opened, Errno> {
    match i32::try_from(raw) {
        // SAFETY:
        // - open, and needing no clean-up but `close`: the caller's promise.
        // - not -1: the conversion from an unsigned number let nothing negative through.
        Ok(raw) => Ok(Opened(unsafe { OwnedFd::from_raw_fd(raw) })),
        Err(_) => Err(no_descriptor()),
    }
}

/// A new descriptor, on its way to its owner.
///
/// A result with it is wide enough for the compiler to keep its parts apart. That of an `OwnedFd` and an
/// `Errno` fits one word, which is packed and unpacked wherever a function is inlined.
#[repr(align(8))]
pub(crate) struct Opened(pub(crate) OwnedFd);

/// Out of the way, or the compiler makes a choice of values of it, which each descriptor pays for.
#[cold]
#[inline(never)]
const fn no_descriptor() -> Errno {
    Errno::BADF
}

/// `OwnedFd::as_fd` without the check that rustix's own type makes again at each call, and whose
/// failure would be a panic in programs that must have none.
#[inline]
pub(crate) fn borrow(fd: &OwnedFd) -> BorrowedFd<'_> {
    // SAFETY:
    // - open for as long as the result lives: the result borrows its owner.
    // - not -1: the documented promise of `OwnedFd`.
    unsafe { lend(fd.as_raw_fd()) }
}

/// `BorrowedFd::borrow_raw` without the check, which stays where that function is not inlined, even if
/// each caller has made sure.
///
/// # Safety
///
/// It must be an open descriptor for as long as the result lives, and not -1.
#[inline]
pub(super) const unsafe fn lend<'a>(raw: RawFd) -> BorrowedFd<'a> {
    // SAFETY: `BorrowedFd` has, by its documentation, the representation of a descriptor that is not
    // -1, which this is by the caller's promise.
    unsafe { transmute::<RawFd, BorrowedFd<'a>>(raw) }
}

/// Duplicates a descriptor at the lowest free number from `least` on, close-on-exec set.
#[inline]
pub(crate) fn dup(fd: BorrowedFd<'_>, least: i32) -> Result<OwnedFd, Errno> {
    const COMMAND: i32 = general::F_DUPFD_CLOEXEC.cast_signed();
    // SAFETY: `F_DUPFD_CLOEXEC` takes and writes numbers alone.
    let raw =
        unsafe { syscall!(general::__NR_fcntl; fd_arg(fd), int_arg(COMMAND), int_arg(least)) }?;
    // SAFETY: the call succeeded, so `raw` is a new descriptor that only we know of.
    unsafe { adopt(raw) }
}

/// Opens `path`, relative to `dir`, with `flags` and close-on-exec; never creates, so without mode.
#[inline]
pub(crate) fn openat(dir: BorrowedFd<'_>, path: &CStr, flags: u32) -> Result<OwnedFd, Errno> {
    let flags = flags | general::O_CLOEXEC | general::O_LARGEFILE;
    // SAFETY: `path` is a C string that outlives the call; the kernel only reads it.
    let raw = unsafe {
        syscall!(general::__NR_openat; fd_arg(dir), ptr_arg(path.as_ptr()), int_arg(flags.cast_signed()), int_arg(0))
    }?;
    // SAFETY: the call succeeded, so `raw` is a new descriptor that only we know of.
    unsafe { adopt(raw) }
}
