//! System calls that the crate has no function for: options that messages come of, and `close` for
//! what was given away as a number.

use core::arch::asm;

use afunix::{AsRawFd, RawFd};

/// Turns an option on; false if the kernel does not know it.
pub fn set(socket: &impl AsRawFd, option: i32) -> bool {
    const SETSOCKOPT: isize = 54;
    const SOL_SOCKET: i32 = 1;
    let on: i32 = 1;
    let answer: isize;
    // SAFETY: `setsockopt` reads the 4 bytes of `on`.
    unsafe {
        asm!("syscall", inlateout("rax") SETSOCKOPT => answer, in("rdi") socket.as_raw_fd(),
            in("rsi") SOL_SOCKET, in("rdx") option, in("r10") &raw const on, in("r8") size_of_val(&on),
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    answer == 0
}

/// Closes a descriptor. `OwnedFd::from_raw_fd` would check, by a panic, that it is one.
pub fn close(fd: RawFd) -> bool {
    const CLOSE: isize = 3;
    let answer: isize;
    // SAFETY: `close` takes a number.
    unsafe {
        asm!("syscall", inlateout("rax") CLOSE => answer, in("rdi") fd,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    answer == 0
}
