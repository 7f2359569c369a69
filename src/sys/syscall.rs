//! How a system call is made: inline assembly exactly where rustix has its own, libc elsewhere.
//!
//! `syscall!(NUMBER; args ...)` takes two to six arguments (to four on x86), each made by [`fd_arg`],
//! [`int_arg`], [`len_arg`] or [`ptr_arg`]; `socket_call!(NUMBER, SYS_NUMBER; args ...)` goes through
//! `socketcall(2)` where the architecture has that one entrance for all of them.
//!
//! Arguments travel as pointers, so that those which are pointers keep their provenance.

use core::ffi::c_void;
use core::ptr;

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

#[cfg(asm_syscalls)]
use super::errno;
use super::fd::{Opened, adopt_opened};

/// One register's worth of argument.
pub(super) type Arg = *mut c_void;

#[inline]
pub(super) fn fd_arg(fd: BorrowedFd<'_>) -> Arg {
    int_arg(fd.as_raw_fd())
}

/// A C `int`, sign-extended as the ABI of every architecture wants it.
#[inline]
pub(super) fn int_arg(int: i32) -> Arg {
    len_arg((int as isize).cast_unsigned())
}

#[inline]
pub(super) fn len_arg(len: usize) -> Arg {
    ptr::without_provenance_mut(len)
}

#[inline]
pub(super) fn ptr_arg<T>(pointer: *const T) -> Arg {
    pointer.cast_mut().cast()
}

#[cfg(asm_syscalls)]
#[inline]
fn answer(raw: Arg) -> Result<usize, Errno> {
    errno::answer(raw.addr())
}

macro_rules! syscall {
    ($number:expr; $($arg:expr),+) => {
        $crate::sys::syscall::Call::call([$($arg),+], $number)
    };
}
pub(super) use syscall;

#[cfg(not(socketcall))]
macro_rules! socket_call {
    ($number:ident, $multiplexed:ident; $($arg:expr),+) => {
        $crate::sys::syscall::Call::call([$($arg),+], ::linux_raw_sys::general::$number)
    };
}

#[cfg(socketcall)]
macro_rules! socket_call {
    ($number:ident, $multiplexed:ident; $($arg:expr),+) => {
        $crate::sys::syscall::socketcall(::linux_raw_sys::net::$multiplexed, &[$($arg),+])
    };
}
pub(super) use socket_call;

/// [`socket_call`] where the answer is a new descriptor, which the result owns.
#[cfg(not(socketcall))]
macro_rules! socket_open {
    ($number:ident, $multiplexed:ident; $($arg:expr),+) => {
        $crate::sys::syscall::Call::open([$($arg),+], ::linux_raw_sys::general::$number)
    };
}

#[cfg(socketcall)]
macro_rules! socket_open {
    ($number:ident, $multiplexed:ident; $($arg:expr),+) => {
        $crate::sys::syscall::socketcall(::linux_raw_sys::net::$multiplexed, &[$($arg),+])
            .and_then(|raw| $crate::sys::fd::adopt_opened(raw))
    };
}
pub(super) use socket_open;

/// # Safety
///
/// `args` must be what that socket call takes, as for [`Call::call`].
#[cfg(socketcall)]
#[inline]
pub(super) unsafe fn socketcall(call: u32, args: &[Arg]) -> Result<usize, Errno> {
    let call = int_arg(call.cast_signed());
    // SAFETY: the kernel reads as many words behind `args` as the call has arguments, which the
    // caller vouches for, as it does for the arguments themselves.
    unsafe { Call::call([call, ptr_arg(args.as_ptr())], ::linux_raw_sys::general::__NR_socketcall) }
}

/// A call by the number of its arguments.
pub(super) trait Call {
    /// # Safety
    ///
    /// The number must be a system call of this machine, and the arguments what it takes: memory
    /// that it reads must be readable and memory that it writes writable, as long as the kernel
    /// may do so; and nothing else may rely on what the call changes.
    unsafe fn call(self, number: u32) -> Result<usize, Errno>;

    /// [`call`](Self::call) where the answer is a new descriptor, which the result owns.
    ///
    /// # Safety
    ///
    /// As there; and nobody else may know of the descriptor.
    #[cfg_attr(socketcall, expect(dead_code, reason = "such come by `socketcall`"))]
    unsafe fn open(self, number: u32) -> Result<Opened, Errno>;
}

/// A descriptor is told from an errno by one look; what is none of the two is `EBADF`.
///
/// # Safety
///
/// If it is a descriptor it must be a new one, which nobody else knows of.
#[cfg(asm_syscalls)]
#[inline(always)]
unsafe fn opened(raw: Arg) -> Result<Opened, Errno> {
    // SAFETY: the caller's promise.
    match unsafe { adopt_opened(raw.addr()) } {
        Ok(new) => Ok(new),
        Err(bad) => Err(not_opened(raw, bad)),
    }
}

#[cfg(asm_syscalls)]
#[cold]
#[inline(never)]
fn not_opened(raw: Arg, bad: Errno) -> Errno {
    answer(raw).err().unwrap_or(bad)
}

/// Implements [`Call`] for each number of arguments from the registers that carry them.
macro_rules! calls {
    ($a:tt $b:tt $c:tt $d:tt $e:tt $f:tt) => {
        calls!(2: a $a, b $b);
        calls!(3: a $a, b $b, c $c);
        calls!(4: a $a, b $b, c $c, d $d);
        calls!(5: a $a, b $b, c $c, d $d, e $e);
        calls!(6: a $a, b $b, c $c, d $d, e $e, f $f);
    };
    ($count:tt: $($arg:ident $register:tt),+) => {
        impl Call for [Arg; $count] {
            #[inline(always)]
            unsafe fn call(self, number: u32) -> Result<usize, Errno> {
                let [$($arg),+] = self;
                // SAFETY: the instruction enters the kernel, which changes the named registers,
                // the answer's, and memory that the caller vouched for; it leaves the stack alone.
                let raw = unsafe { enter!(len_arg(number as usize); $($arg $register),+) };
                answer(raw)
            }

            #[inline(always)]
            unsafe fn open(self, number: u32) -> Result<Opened, Errno> {
                let [$($arg),+] = self;
                // SAFETY: as in `call`.
                let raw = unsafe { enter!(len_arg(number as usize); $($arg $register),+) };
                // SAFETY: the caller's promise.
                unsafe { opened(raw) }
            }
        }
    };
}

#[cfg(all(asm_syscalls, target_arch = "x86_64"))]
macro_rules! enter {
    ($number:expr; $($arg:ident $register:tt),+) => {{
        let raw: Arg;
        core::arch::asm!(
            "syscall",
            inlateout("rax") $number => raw,
            $(in($register) $arg,)+
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack, preserves_flags)
        );
        raw
    }};
}

#[cfg(all(asm_syscalls, target_arch = "aarch64"))]
macro_rules! enter {
    ($number:expr; $first:ident $shared:tt $(, $arg:ident $register:tt)+) => {{
        let raw: Arg;
        core::arch::asm!(
            "svc 0",
            in("x8") $number,
            inlateout($shared) $first => raw,
            $(in($register) $arg,)+
            options(nostack, preserves_flags)
        );
        raw
    }};
}

// Linux does not keep the vector registers and their state, where the machine has them.
#[cfg(all(asm_syscalls, target_arch = "riscv64"))]
macro_rules! enter {
    ($number:expr; $first:ident $shared:tt $(, $arg:ident $register:tt)+) => {{
        let raw: Arg;
        core::arch::asm!(
            "ecall",
            in("a7") $number,
            inlateout($shared) $first => raw,
            $(in($register) $arg,)+
            lateout("v0") _, lateout("v1") _, lateout("v2") _, lateout("v3") _,
            lateout("v4") _, lateout("v5") _, lateout("v6") _, lateout("v7") _,
            lateout("v8") _, lateout("v9") _, lateout("v10") _, lateout("v11") _,
            lateout("v12") _, lateout("v13") _, lateout("v14") _, lateout("v15") _,
            lateout("v16") _, lateout("v17") _, lateout("v18") _, lateout("v19") _,
            lateout("v20") _, lateout("v21") _, lateout("v22") _, lateout("v23") _,
            lateout("v24") _, lateout("v25") _, lateout("v26") _, lateout("v27") _,
            lateout("v28") _, lateout("v29") _, lateout("v30") _, lateout("v31") _,
            options(nostack)
        );
        raw
    }};
}

// r7 holds the number, but in Thumb code it is the frame pointer, which no operand may name.
#[cfg(all(asm_syscalls, target_arch = "arm"))]
macro_rules! enter {
    ($number:expr; $first:ident $shared:tt $(, $arg:ident $register:tt)+) => {{
        let raw: Arg;
        core::arch::asm!(
            "mov {saved}, r7",
            "mov r7, {number}",
            "svc 0",
            "mov r7, {saved}",
            saved = out(reg) _,
            number = in(reg) $number,
            inlateout($shared) $first => raw,
            $(in($register) $arg,)+
            options(nostack, preserves_flags)
        );
        raw
    }};
}

// esi, the fourth, is LLVM's own base pointer, which no operand may name. More than four arguments
// go through `socketcall`.
#[cfg(all(asm_syscalls, target_arch = "x86"))]
macro_rules! enter {
    ($number:expr; $a:ident $ra:tt, $b:ident $rb:tt, $c:ident $rc:tt, $d:ident $rd:tt) => {{
        let raw: Arg;
        core::arch::asm!(
            "xchg esi, {fourth}",
            "int 0x80",
            "xchg esi, {fourth}",
            fourth = in(reg) $d,
            inlateout("eax") $number => raw,
            in($ra) $a,
            in($rb) $b,
            in($rc) $c,
            options(nostack, preserves_flags)
        );
        raw
    }};
    ($number:expr; $($arg:ident $register:tt),+) => {{
        let raw: Arg;
        core::arch::asm!(
            "int 0x80",
            inlateout("eax") $number => raw,
            $(in($register) $arg,)+
            options(nostack, preserves_flags)
        );
        raw
    }};
}

#[cfg(not(asm_syscalls))]
macro_rules! enter {
    ($number:expr; $($arg:ident $register:tt),+) => {
        libc::syscall($number.addr().cast_signed() as libc::c_long, $($arg),+)
    };
}

/// libc has already told success and failure apart.
#[cfg(not(asm_syscalls))]
#[inline]
fn answer(raw: libc::c_long) -> Result<usize, Errno> {
    if raw == -1 {
        // SAFETY: takes nothing, and gives the address of this thread's errno.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: valid for this thread, which is the only one to use it.
        return Err(Errno::from_raw_os_error(unsafe { errno.read() }));
    }
    // A `long` is as wide as a pointer on each Linux.
    #[allow(clippy::cast_possible_truncation)]
    Ok((raw as isize).cast_unsigned())
}

/// # Safety
///
/// If it is a descriptor it must be a new one, which nobody else knows of.
#[cfg(not(asm_syscalls))]
#[inline]
unsafe fn opened(raw: libc::c_long) -> Result<Opened, Errno> {
    // SAFETY: the caller's promise.
    unsafe { adopt_opened(answer(raw)?) }
}

#[cfg(all(asm_syscalls, target_arch = "x86_64"))]
calls!("rdi" "rsi" "rdx" "r10" "r8" "r9");
#[cfg(all(asm_syscalls, target_arch = "aarch64"))]
calls!("x0" "x1" "x2" "x3" "x4" "x5");
#[cfg(all(asm_syscalls, target_arch = "riscv64"))]
calls!("a0" "a1" "a2" "a3" "a4" "a5");
#[cfg(all(asm_syscalls, target_arch = "arm"))]
calls!("r0" "r1" "r2" "r3" "r4" "r5");
#[cfg(not(asm_syscalls))]
calls!("" "" "" "" "" "");

#[cfg(all(asm_syscalls, target_arch = "x86"))]
calls!(2: a "ebx", b "ecx");
#[cfg(all(asm_syscalls, target_arch = "x86"))]
calls!(3: a "ebx", b "ecx", c "edx");
#[cfg(all(asm_syscalls, target_arch = "x86"))]
calls!(4: a "ebx", b "ecx", c "edx", d "esi");
