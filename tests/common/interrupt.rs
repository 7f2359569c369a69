//! Signals that come while a call waits. For a child process: the handler is everybody's.

use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

extern "C" fn nothing(_: libc::c_int) {}

/// Makes a call that waits, in a thread that is sent signals until the call returns: one signal
/// could come before the call waits.
pub fn interrupt<R: Send>(call: impl FnOnce() -> R + Send) -> R {
    interrupt_by(0, call)
}

/// [`interrupt`] by signals whose handler is installed with these flags, such as `SA_RESTART`.
pub fn interrupt_by<R: Send>(flags: libc::c_int, call: impl FnOnce() -> R + Send) -> R {
    // SAFETY: zeros are a value of it; the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
    let tid = AtomicI32::new(0);
    thread::scope(|scope| {
        let caller = scope.spawn(|| {
            // SAFETY: it cannot fail.
            tid.store(unsafe { libc::gettid() }, Ordering::Release);
            call()
        });
        while !caller.is_finished() {
            // Long enough to be in the call by now; if not, there is another round.
            thread::sleep(Duration::from_millis(10));
            let tid = tid.load(Ordering::Acquire);
            if tid != 0 {
                // SAFETY: numbers alone. A thread that is gone is an error that does not matter.
                unsafe {
                    libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, libc::SIGUSR1);
                }
            }
        }
        caller.join().unwrap()
    })
}
