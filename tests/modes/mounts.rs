//! Mounts that this thread alone has, gone with it: in a child of root's.

use std::ffi::CString;
use std::io::{Error, Result};
use std::path::Path;

use crate::common::skip;

/// From now on what this thread mounts is seen by nobody else, which root may do everywhere but in some
/// containers; there it says so.
pub fn has_mounts() -> bool {
    // SAFETY: a number alone.
    let apart = check(unsafe { libc::unshare(libc::CLONE_NEWNS) })
        .and_then(|()| mount("none", Path::new("/"), "none", libc::MS_REC | libc::MS_PRIVATE, ""));
    match apart {
        Ok(()) => true,
        Err(error) => {
            skip(format_args!("cannot mount: {error}"));
            false
        }
    }
}

pub fn mount(
    what: &str,
    target: &Path,
    kind: &str,
    flags: libc::c_ulong,
    data: &str,
) -> Result<()> {
    let text = |text: &str| CString::new(text).unwrap();
    let (what, target) = (text(what), text(target.to_str().unwrap()));
    let (kind, data) = (text(kind), text(data));
    let (what, target, kind) = (what.as_ptr(), target.as_ptr(), kind.as_ptr());
    // SAFETY: all are C strings.
    check(unsafe { libc::mount(what, target, kind, flags, data.as_ptr().cast()) })
}

/// Takes away what hides a folder, so that this can be removed.
pub fn unmount(target: &Path) {
    let target = CString::new(target.to_str().unwrap()).unwrap();
    // SAFETY: a C string.
    check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }).expect("a mount");
}

fn check(done: i32) -> Result<()> {
    if done == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
