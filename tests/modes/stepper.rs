//! A process that is stopped before and after each of its system calls, so that others can look at what
//! there is at that instant.

use std::ptr;

/// Runs `body` in a process of its own, and `look` at each of its stops; the answer is how many there were.
/// `body` may not allocate, and must answer with `true`.
pub fn stepped(body: impl FnOnce() -> bool, mut look: impl FnMut()) -> u32 {
    // SAFETY: the child makes system calls alone, and ends without a way back.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let none = ptr::null_mut::<libc::c_void>();
        // SAFETY: numbers alone.
        unsafe {
            libc::alarm(20);
            if libc::ptrace(libc::PTRACE_TRACEME, 0, none, none) != 0 {
                libc::_exit(3);
            }
            libc::raise(libc::SIGSTOP);
        }
        let is_good = body();
        // SAFETY: a number alone.
        unsafe { libc::_exit(if is_good { 0 } else { 4 }) };
    }
    assert!(child > 0, "fork");
    let status = wait(child);
    assert!(libc::WIFSTOPPED(status), "the process ended with {status:#x} before it began");
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
    let options = ptr::without_provenance_mut::<libc::c_void>(options as usize);
    let none = ptr::null_mut::<libc::c_void>();
    // SAFETY: numbers alone, of a child that is stopped.
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, child, none, options) }, 0);
    let (mut stops, mut signal) = (0, 0);
    loop {
        let with = ptr::without_provenance_mut::<libc::c_void>(signal);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SYSCALL, child, none, with) }, 0);
        let status = wait(child);
        if !libc::WIFSTOPPED(status) {
            let is_good = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
            assert!(is_good, "the process ended with {status:#x}");
            return stops;
        }
        signal = match libc::WSTOPSIG(status) {
            stop if stop == libc::SIGTRAP | 0x80 => {
                stops += 1;
                look();
                0
            }
            other => usize::try_from(other).unwrap(),
        };
    }
}

fn wait(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: the number is ours to write.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status
}
