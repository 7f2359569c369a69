//! Where a program begins and ends that has no C library, and what becomes of a panic in it.
//!
//! The panic handler calls a function that does not exist. Where no panic can be reached nothing
//! calls the handler, and it is left out; else the program does not link.

#[path = "mem.rs"]
mod mem;

use core::arch::{asm, naked_asm};
use core::panic::PanicInfo;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        // Its name is what the linker complains of.
        safe fn a_panic_is_reachable() -> !;
    }
    a_panic_is_reachable()
}

#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64")))]
compile_error!("only x86_64 has a start here");

/// What the kernel jumps to, with a stack but without a caller.
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    naked_asm!("xor ebp, ebp", "and rsp, -16", "call {begin}", "ud2", begin = sym begin)
}

extern "C" fn begin() -> ! {
    exit(crate::main())
}

/// Writes to standard output. There is nobody to tell if that fails.
pub fn print(text: &str) {
    // SAFETY: `write` reads `text.len()` bytes of `text`.
    unsafe {
        asm!("syscall", inlateout("rax") 1usize => _, in("rdi") 1, in("rsi") text.as_ptr(),
            in("rdx") text.len(), lateout("rcx") _, lateout("r11") _, options(nostack));
    }
}

fn exit(code: i32) -> ! {
    // SAFETY: `exit_group` takes a number and does not come back.
    unsafe { asm!("syscall", in("rax") 231, in("rdi") code, options(noreturn, nostack)) }
}
