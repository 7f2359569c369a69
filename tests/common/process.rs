//! Copies of this process, by `fork`, and what they share with it.
//!
//! For a child of [`passes_in_child`](super::passes_in_child) alone: what other tests have open, a copy
//! would keep open; and where another thread holds a lock, a copy waits for it for ever.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicI32;
use std::time::Duration;

/// A copy of this process that does something else. Dropping it kills it.
pub struct Process {
    pid: libc::pid_t,
    is_reaped: bool,
}

/// How a process ended: with this code, or by this signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    Code(i32),
    Signal(i32),
}

impl Process {
    /// Starts one that ends with the code that `body` gives; with 101 if it panics. It has the one thread
    /// that called this.
    pub fn start(body: impl FnOnce() -> u8) -> Self {
        // SAFETY: the copy needs no lock that another thread may have held.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "{}", std::io::Error::last_os_error());
        if pid == 0 {
            // SAFETY: numbers alone.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or(101);
            // SAFETY: a number, and it does not come back: nothing of the parent's is dropped here.
            unsafe { libc::_exit(code.into()) };
        }
        Self { pid, is_reaped: false }
    }

    pub fn pid(&self) -> libc::pid_t {
        self.pid
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<End> {
        self.reap(libc::WNOHANG)
    }

    /// Waits for its end.
    pub fn wait(mut self) -> End {
        self.reap(0).expect("an end")
    }

    /// Kills it, unless it has ended, and waits until nothing is left of it.
    pub fn kill(mut self) -> End {
        self.send_kill();
        self.reap(0).expect("an end")
    }

    fn send_kill(&self) {
        // SAFETY: numbers alone; the process is not reaped, so the number is its own.
        assert_eq!(unsafe { libc::kill(self.pid, libc::SIGKILL) }, 0);
    }

    fn reap(&mut self, flags: i32) -> Option<End> {
        assert!(!self.is_reaped);
        let mut status = 0;
        // SAFETY: it writes the status.
        let pid = unsafe { libc::waitpid(self.pid, &raw mut status, flags) };
        assert!(pid >= 0, "{}", std::io::Error::last_os_error());
        self.is_reaped = pid == self.pid;
        self.is_reaped.then(|| match libc::WIFSIGNALED(status) {
            true => End::Signal(libc::WTERMSIG(status)),
            false => End::Code(libc::WEXITSTATUS(status)),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.send_kill();
            self.reap(0);
        }
    }
}

/// What this process and those see that are started from here on.
pub struct Shared<T: 'static>(&'static T);

impl<T> Shared<T> {
    /// Not none even where the value is.
    const LEN: usize = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };

    /// Memory of its own, all zeros.
    ///
    /// # Safety
    ///
    /// Zeros are a value of it, which may be read while others write to it.
    pub unsafe fn zeroed() -> Self {
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, as long as asked for, which begins with a page.
        unsafe {
            let at = libc::mmap(std::ptr::null_mut(), Self::LEN, access, kind, -1, 0);
            assert_ne!(at, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
            Self(&*at.cast())
        }
    }

    /// For as long as there is a process.
    pub fn leak(self) -> &'static T {
        std::mem::ManuallyDrop::new(self).0
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: mapped with this length, and borrowed from this alone.
        unsafe { libc::munmap(std::ptr::from_ref(self.0).cast_mut().cast(), Self::LEN) };
    }
}

/// Waits until another process [wakes](wake) this one, if that is still the value; or for some
/// time, of less than a second.
pub fn wait_for_change(value: &AtomicI32, old: i32, limit: Duration) {
    // Not libc's, which may be of another width than this call's.
    let limit: [libc::c_long; 2] = [0, limit.as_nanos().try_into().unwrap()];
    // SAFETY: the kernel reads the value and the time.
    unsafe { libc::syscall(libc::SYS_futex, value, libc::FUTEX_WAIT, old, &raw const limit) };
}

/// See [`wait_for_change`].
pub fn wake(value: &AtomicI32) {
    // SAFETY: the address of a number that may be looked at.
    unsafe { libc::syscall(libc::SYS_futex, value, libc::FUTEX_WAKE, 1) };
}
