//! Filters as services have them: a call that is answered with an errno, or that does nothing.

use std::mem::offset_of;

use afunix::Errno;

/// A call by its own number, and by the one that it has in `socketcall` of 32-bit x86.
#[derive(Clone, Copy)]
pub struct Call(libc::c_long, u32);

pub const LISTEN: Call = Call(libc::SYS_listen, 4);
pub const SETSOCKOPT: Call = Call(libc::SYS_setsockopt, 14);
pub const GETSOCKOPT: Call = Call(libc::SYS_getsockopt, 15);
/// `renameat2`, which is none of `socketcall`'s.
pub const RENAME: Call = Call(libc::SYS_renameat2, u32::MAX);
/// `fchmodat2`, of the same number everywhere.
pub const CHMOD: Call = Call(452, u32::MAX);
pub const FCHMOD: Call = Call(libc::SYS_fchmod, u32::MAX);
pub const FCHMODAT: Call = Call(libc::SYS_fchmodat, u32::MAX);

/// From now on `call` is `EPERM` to this thread.
pub fn forbid(call: Call) {
    filter(call, None, Errno::PERM);
}

/// From now on this thread is given `errno` when it asks for this option. Where the option is behind a
/// pointer, at which a filter cannot look, it is given that for all of them; the answer tells which.
pub fn answer_option(option: i32, errno: Errno) -> bool {
    let knows = !cfg!(target_arch = "x86");
    filter(GETSOCKOPT, knows.then_some(option), errno);
    knows
}

/// From now on `call` does nothing for this thread, and says that it did.
pub fn pretend(call: Call) {
    answer(call, None, 0);
}

/// The call, with this third argument or any, has that errno.
pub fn filter(call: Call, third: Option<i32>, errno: Errno) {
    answer(call, third, errno.raw_os_error().cast_unsigned());
}

fn answer(Call(number, multiplexed): Call, third: Option<i32>, errno: u32) {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K

    let refuse = libc::SECCOMP_RET_ERRNO | errno;
    let at = |offset: usize| u32::try_from(offset).unwrap();
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // No number of a call is negative: elsewhere than on 32-bit x86 the second question is never
    // answered with yes.
    #[cfg(target_arch = "x86")]
    let socketcall = u32::try_from(libc::SYS_socketcall).unwrap();
    #[cfg(not(target_arch = "x86"))]
    let socketcall = u32::MAX;
    let low_half = if cfg!(target_endian = "big") { 4 } else { 0 };
    let argument = |which: usize| at(offset_of!(libc::seccomp_data, args) + 8 * which + low_half);
    let mut program = [
        step(LOAD, 0, 0, at(offset_of!(libc::seccomp_data, nr))),
        step(JUMP_IF_EQUAL, 3, 0, u32::try_from(number).unwrap()),
        step(JUMP_IF_EQUAL, 0, 5, socketcall),
        step(LOAD, 0, 0, argument(0)),
        step(JUMP_IF_EQUAL, 2, 3, multiplexed),
        step(LOAD, 0, 0, argument(2)),
        match third {
            Some(third) => step(JUMP_IF_EQUAL, 0, 1, third.cast_unsigned()),
            None => step(JUMP, 0, 0, 0),
        },
        step(RETURN, 0, 0, refuse),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap(),
        filter: program.as_mut_ptr(),
    };
    // SAFETY: numbers, and a program that is as long as it says and outlives the call.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
    }
}
