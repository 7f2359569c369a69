//! Turns facts about the target into the words that `src/sys` speaks.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for word in ["asm_syscalls", "socketcall"] {
        println!("cargo::rustc-check-cfg=cfg({word})");
    }

    let arch = var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let width = var("CARGO_CFG_TARGET_POINTER_WIDTH").unwrap_or_default();
    let os = var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let endian = var("CARGO_CFG_TARGET_ENDIAN").unwrap_or_default();
    let set = |name: &str| var(name).is_ok();

    if os != "linux" {
        println!("cargo::error=afunix speaks to the Linux kernel directly; {os} is not Linux");
    }

    // The same question that rustix asks before it picks its own raw backend: a program is free of
    // libc only if both agree.
    let arch_has_asm = matches!(
        (arch.as_str(), width.as_str()),
        ("x86_64" | "aarch64" | "riscv64", "64") | ("x86" | "arm", "32")
    );
    let wants_libc = set("CARGO_CFG_RUSTIX_USE_LIBC") || set("CARGO_CFG_MIRI");
    if os == "linux" && endian == "little" && arch_has_asm && !wants_libc {
        println!("cargo::rustc-cfg=asm_syscalls");
        // i386 has multiplexed its socket calls since the beginning; the direct ones came with 4.3.
        if arch == "x86" {
            println!("cargo::rustc-cfg=socketcall");
        }
    }
}
