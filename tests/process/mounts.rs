//! A filesystem that cannot be written.

use crate::common::kinds::Data;
use crate::common::{TempDir, is_root, passes_in_child, skip};
use crate::table::*;

for_data!(read_only_filesystem_lets_connect_but_not_bind);

fn read_only_filesystem_lets_connect_but_not_bind<T: Data + 'static>(test: &str) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may mount");
        }
        let (folder, spare) = (TempDir::new(), TempDir::new());
        if let Err(error) = mount(&folder, "tmpfs", 0) {
            return skip(format_args!("cannot mount: {error}"));
        }
        let _live = drained(T::serve(&folder.addr("live")).unwrap());
        mount(&folder, "", libc::MS_REMOUNT | libc::MS_RDONLY).unwrap();
        let rows = [("live", IN_USE, OK), ("missing", ROFS, NO_ENT)];
        check_bind::<T>(folder.path(), spare.path(), &rows);
        check_connect::<T>(folder.path(), &folder.addr("live"), &rows);
        // The folder that it hides can be removed only when it is gone.
        let target = std::ffi::CString::new(folder.path().to_str().unwrap()).unwrap();
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }, 0);
    });
}

/// Mounts at the folder, or changes the mount there. The first time, this thread gets mounts of its
/// own, which are gone with it.
fn mount(folder: &TempDir, kind: &str, flags: libc::c_ulong) -> std::io::Result<()> {
    let target = std::ffi::CString::new(folder.path().to_str().unwrap()).unwrap();
    let kind = std::ffi::CString::new(kind).unwrap();
    let (none, private) = (std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE);
    let check = |done: i32| if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    if flags == 0 {
        // SAFETY: a number alone.
        check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
        // SAFETY: whatever is not null is a C string.
        check(unsafe { libc::mount(none, c"/".as_ptr(), none, private, none.cast()) })?;
    }
    // SAFETY: whatever is not null is a C string.
    check(unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, none.cast()) })
}
