//! Who this process is for a while: in a child of root's alone.

use crate::common::{is_root, passes_in_child, skip};

/// The ids by which the process works for as long as it holds this.
pub struct As(());

impl As {
    pub fn new(uid: u32, gid: u32, groups: &[u32]) -> Self {
        // SAFETY: numbers alone, and as many as there are.
        unsafe {
            assert_eq!(libc::setgroups(groups.len(), groups.as_ptr()), 0);
            assert_eq!(libc::setegid(gid), 0);
            assert_eq!(libc::seteuid(uid), 0);
        }
        Self(())
    }
}

impl Drop for As {
    fn drop(&mut self) {
        // SAFETY: numbers alone, and a null pointer for no groups.
        unsafe {
            assert_eq!(libc::seteuid(0), 0);
            assert_eq!(libc::setegid(0), 0);
            assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        }
    }
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
