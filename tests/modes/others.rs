//! Who this process is for a while: in a child of root's alone.

use crate::common::{Nobody, is_root, passes_in_child, skip};

/// The ids by which this thread works for as long as it holds this, at most 16 bits each.
///
/// Of this thread alone, as the kernel has it: libc would have all others follow, by signals.
pub struct As(());

impl As {
    pub fn new(uid: u32, gid: u32, groups: &[u32]) -> Self {
        #[cfg(not(any(target_arch = "arm", target_arch = "x86")))]
        use libc::SYS_setgroups;
        #[cfg(any(target_arch = "arm", target_arch = "x86"))]
        use libc::SYS_setgroups32 as SYS_setgroups;

        assert!(uid < 0xffff && gid < 0xffff);
        // SAFETY: numbers alone, and as many as there are.
        unsafe {
            assert_eq!(libc::syscall(SYS_setgroups, groups.len(), groups.as_ptr()), 0);
            assert_eq!(libc::syscall(libc::SYS_setresgid, -1, gid, -1), 0);
            assert_eq!(libc::syscall(libc::SYS_setresuid, -1, uid, -1), 0);
        }
        Self(())
    }
}

impl Drop for As {
    fn drop(&mut self) {
        // SAFETY: numbers alone.
        unsafe {
            assert_eq!(libc::syscall(libc::SYS_setresuid, -1, 0, -1), 0);
            assert_eq!(libc::syscall(libc::SYS_setresgid, -1, 0, -1), 0);
        }
    }
}

/// [`As`] nobody in particular.
pub fn nobody() -> As {
    As::new(Nobody::UID, Nobody::UID, &[])
}

/// [`passes_in_child`] for what only root can set up.
pub fn passes_as_root(test: &str, body: impl FnOnce()) {
    passes_in_child(test, || {
        if is_root() {
            body();
        } else {
            skip("only root may become somebody else, and mount");
        }
    });
}
