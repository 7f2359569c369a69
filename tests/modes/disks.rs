//! Disks that cannot be written, or have no room.

use std::path::Path;

use afunix::{Errno, SocketFileError, Step};

use crate::common::emulated::{FILTER, left_out_by_qemu};
use crate::common::seccomp::{RENAME, filter};
use crate::common::{TempDir, addr, close, passes_in_child, snapshot};
use crate::made::{Made, Way, is_kernel, leave_stale};
use crate::mounts::{has_mounts, mount, unmount};
use crate::others::passes_as_root;

for_data!(
    a_disk_that_is_read_only_keeps_all_that_is_there
    a_full_disk_gets_nothing_and_lets_go_of_what_it_has
    what_cannot_be_moved_aside_can_be_removed
);

/// A folder is there twice, the second time to be read only.
fn a_disk_that_is_read_only_keeps_all_that_is_there<T: Made>(test: &str) {
    passes_as_root(test, || {
        let (folder, twin) = (TempDir::new(), TempDir::new());
        if !has_mounts() {
            return;
        }
        let [live, stale] = ["live", "stale"].map(|name| folder.join(name));
        let _live = T::make(Way::Plain.options(&live)).unwrap();
        leave_stale::<T>(&stale, 0o600);
        mount(folder.path().to_str().unwrap(), twin.path(), "none", libc::MS_BIND, "").unwrap();
        let (_socket, file) = T::make(Way::Plain.options(&twin.join("own"))).unwrap();
        let read_only = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY;
        mount("none", twin.path(), "none", read_only, "").unwrap();

        let before = snapshot(twin.path());
        for way in Way::ALL {
            let made = T::make(way.options(&twin.join("new")).mode(0o600));
            assert!(is_kernel(&made, Step::Bind, Errno::ROFS), "{way:?}: {made:?}");
        }
        for name in ["live", "stale"] {
            let path = twin.join(name);
            for way in [Way::Replace, Way::PublishReady] {
                let made = T::make(way.options(&path).mode(0o600));
                assert!(is_kernel(&made, Step::Bind, Errno::ROFS), "{way:?}: {made:?}");
            }
            let made = T::make(Way::Plain.options(&path).mode(0o600));
            assert_eq!(made.unwrap_err(), SocketFileError::InUse);
        }
        let made = T::make(Way::Reclaim.options(&twin.join("live")));
        assert_eq!(made.unwrap_err(), SocketFileError::InUse);
        let made = T::make(Way::Reclaim.options(&twin.join("stale")));
        assert!(is_kernel(&made, Step::Remove, Errno::ROFS), "{made:?}");
        let removed = file.remove();
        assert!(is_kernel(&removed, Step::Remove, Errno::ROFS), "{removed:?}");
        assert_eq!(file.is_in_place(), Ok(true));
        assert_eq!(snapshot(twin.path()), before);
        // To connect is not to write.
        assert_eq!(T::reach(&addr(twin.join("live"))), Ok(()));

        mount("none", twin.path(), "none", libc::MS_BIND | libc::MS_REMOUNT, "").unwrap();
        assert_eq!(file.remove(), Ok(true));
        unmount(twin.path());
    });
}

/// Takes all the inodes that are left.
fn fill(folder: &Path) {
    let files = (0..).map(|number| folder.join(format!("filler-{number}")));
    let count = files.take_while(|path| std::fs::write(path, "").is_ok()).count();
    assert!((1..100).contains(&count), "there was room for {count} files");
}

fn a_full_disk_gets_nothing_and_lets_go_of_what_it_has<T: Made>(test: &str) {
    passes_as_root(test, || {
        let folder = TempDir::new();
        if !has_mounts() {
            return;
        }
        mount("tmpfs", folder.path(), "tmpfs", 0, "size=64k,nr_inodes=16,mode=700").unwrap();
        let [live, stale, own] = ["live", "stale", "own"].map(|name| folder.join(name));
        let _live = T::make(Way::Plain.options(&live)).unwrap();
        leave_stale::<T>(&stale, 0o600);
        let (socket, file) = T::make(Way::Plain.options(&own)).unwrap();
        fill(folder.path());

        let before = snapshot(folder.path());
        for way in Way::ALL {
            let made = T::make(way.options(&folder.join("new")).mode(0o600));
            assert!(is_kernel(&made, Step::Bind, Errno::NOSPC), "{way:?}: {made:?}");
        }
        let made = T::make(Way::Replace.options(&live));
        assert!(is_kernel(&made, Step::Bind, Errno::NOSPC), "{made:?}");
        assert_eq!(snapshot(folder.path()), before);
        assert_eq!(T::reach(&addr(&live)), Ok(()));

        // What is given up makes room for what comes.
        let (_next, next) = T::make(Way::Reclaim.options(&stale)).unwrap();
        assert_eq!(file.remove(), Ok(true));
        close((socket, file));
        assert_eq!(T::make(Way::Replace.options(&live)).map(drop), Ok(()));
        assert_eq!(next.remove(), Ok(true));
        unmount(folder.path());
    });
}

/// A folder on a disk may have to grow for another name, as on ext4: a filter answers for it.
fn what_cannot_be_moved_aside_can_be_removed<T: Made>(test: &str) {
    passes_in_child(test, || {
        if left_out_by_qemu(FILTER) {
            return;
        }
        let folder = TempDir::new();
        let [stale, own] = ["stale", "own"].map(|name| folder.join(name));
        leave_stale::<T>(&stale, 0o600);
        let (_socket, file) = T::make(Way::Plain.options(&own)).unwrap();
        filter(RENAME, None, Errno::NOSPC);
        let before = snapshot(folder.path());
        let made = T::make(Way::PublishReady.options(&folder.join("new")));
        assert!(is_kernel(&made, Step::Publish, Errno::NOSPC), "{made:?}");
        let made = T::make(Way::Replace.options(&own));
        assert!(is_kernel(&made, Step::Publish, Errno::NOSPC), "{made:?}");
        assert_eq!(snapshot(folder.path()), before);
        assert_eq!(file.remove(), Ok(true));
        let (_next, next) = T::make(Way::Reclaim.options(&stale)).unwrap();
        assert_eq!(next.remove(), Ok(true));
        assert_eq!(snapshot(folder.path()), []);
    });
}
