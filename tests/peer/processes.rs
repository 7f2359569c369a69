//! Processes that are somebody else.

use crate::plain::{fork, last_errno};

/// Gives this process ids for good: the real, the effective and the saved one of each kind.
pub fn become_others(uids: [u32; 3], gids: [u32; 3]) {
    // SAFETY: numbers alone, and one null pointer for no groups.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!(libc::setresgid(gids[0], gids[1], gids[2]), 0);
        assert_eq!(libc::setresuid(uids[0], uids[1], uids[2]), 0);
    }
}

/// Gives this process these supplementary groups.
pub fn set_groups(groups: &[u32]) {
    // The type of their number differs from one libc to the next.
    #[allow(clippy::useless_conversion)]
    let count = groups.len().try_into().unwrap();
    // SAFETY: there are as many as said.
    let done = unsafe { libc::setgroups(count, groups.as_ptr()) };
    assert_eq!(done, 0, "{}", last_errno());
}

/// Runs `body` in another process whose **effective** user and group is `id`, and gives its pid, which is
/// nobody's any more when this returns. Its real and saved ids are others.
pub fn as_user(id: u32, body: impl FnOnce()) -> u32 {
    fork(|| {
        become_others([id + 1, id, id + 2], [id + 11, id + 10, id + 12]);
        body();
    })
}

/// What [`as_user`] looks like to others.
pub fn seen_as(pid: u32, id: u32) -> [u32; 3] {
    [pid, id, id + 10]
}

/// A process that lives until it is told to end.
pub struct Child {
    pid: u32,
}

impl Child {
    /// Starts one that waits for a signal once `body` is done.
    pub fn start(body: impl FnOnce()) -> Self {
        let (read, write) = crate::plain::pipe();
        // SAFETY: the copy never goes back to the code that called.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "{}", last_errno());
        if pid == 0 {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_ok();
            // SAFETY: one byte is read from where there is one; it ends by a signal.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                let byte = [u8::from(done)];
                libc::write(crate::plain::number(&write), byte.as_ptr().cast(), 1);
                loop {
                    libc::pause();
                }
            }
        }
        let mut byte = [0_u8];
        // SAFETY: one byte of room.
        let count = unsafe { libc::read(crate::plain::number(&read), byte.as_mut_ptr().cast(), 1) };
        assert_eq!((count, byte), (1, [1]), "the child failed");
        Self { pid: pid.cast_unsigned() }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Makes it a zombie: it has ended, and nobody has waited for it.
    pub fn end(&self) {
        let pid = self.pid.cast_signed();
        // SAFETY: a process of our own that is not waited for yet, and a value to be written.
        unsafe {
            assert_eq!(libc::kill(pid, libc::SIGKILL), 0);
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let how = libc::WEXITED | libc::WNOWAIT;
            assert_eq!(libc::waitid(libc::P_PID, self.pid, &raw mut info, how), 0);
        }
    }

    /// Waits for it, ended or not: its number is free.
    pub fn reap(self) {
        let pid = self.pid.cast_signed();
        let mut status = 0;
        // SAFETY: as above.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
        }
    }
}
