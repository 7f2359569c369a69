//! Who this process is, and for a while somebody else.

use std::io;

use crate::common::{Nobody, skip};

/// What the tests pass for: nobody whose number anybody may have, and user and group differ.
pub const OTHER: (u32, u32) = (41001, 41002);

/// A user and its group, real and effective.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    pub real: (u32, u32),
    pub effective: (u32, u32),
}

impl Ids {
    /// Those of this process.
    pub fn own() -> Self {
        // SAFETY: they cannot fail.
        unsafe {
            Self {
                real: (libc::getuid(), libc::getgid()),
                effective: (libc::geteuid(), libc::getegid()),
            }
        }
    }

    /// What root can be beside root, each in another way.
    pub const fn others() -> [Self; 3] {
        const ROOT: (u32, u32) = (0, 0);
        [
            Self { real: OTHER, effective: OTHER },
            Self { real: ROOT, effective: OTHER },
            Self { real: OTHER, effective: ROOT },
        ]
    }

    /// Root becomes this; it makes no call but the two, for a child before it is another program.
    pub fn set(self) -> io::Result<()> {
        let ((uid, gid), (euid, egid)) = (self.real, self.effective);
        // SAFETY: numbers alone.
        let done =
            unsafe { libc::setresgid(gid, egid, 0) == 0 && libc::setresuid(uid, euid, 0) == 0 };
        if done { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Root is this while it does something. For a child alone: the whole process is.
    pub fn during<R>(self, body: impl FnOnce() -> R) -> R {
        self.set().unwrap();
        let result = body();
        // SAFETY: numbers alone. Without the user there is no right to the group.
        unsafe {
            assert_eq!(libc::setresuid(0, 0, 0), 0);
            assert_eq!(libc::setresgid(0, 0, 0), 0);
        }
        result
    }
}

/// Whether this process is somebody; if not, says so, and the test is left out.
pub fn is_somebody() -> bool {
    let is_nobody = Ids::own().effective.0 == Nobody::UID;
    if is_nobody {
        skip("nobody has the number of who is unknown");
    }
    !is_nobody
}

/// A user of this machine: name, and numbers of user and group.
pub fn user(is_it: impl Fn(&str, u32) -> bool) -> Option<(String, u32, u32)> {
    std::fs::read_to_string("/etc/passwd").ok()?.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next()?, fields.nth(1)?.parse().ok()?);
        let gid = fields.next()?.parse().ok()?;
        is_it(name, uid).then(|| (name.to_owned(), uid, gid))
    })
}
