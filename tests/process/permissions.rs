//! Paths that somebody else owns.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::kinds::{Connects, Data};
use crate::common::{Nobody, TempDir, is_root, passes_in_child, skip, snapshot};
use crate::table::*;

for_data!(
    folder_without_write_permission_is_eacces_to_bind_unless_the_name_is_taken
    folder_without_search_permission_is_eacces_to_all
    socket_without_write_permission_is_eacces_before_anything_else_is_looked_at
    socket_with_write_permission_alone_can_be_connected_to
    sticky_folder_lets_others_bind_beside_but_not_over_a_file
    connect_from_to_in_a_sticky_folder_removes_its_own_file
);
for_connecting!(connect_to_a_socket_without_write_permission_is_eacces_then_works_with_it);

/// Runs `body` in a child with a folder that nobody may write, and one that anybody may.
fn with_folders(test: &str, body: impl FnOnce(&TempDir, &TempDir)) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may become somebody else");
        }
        let (folder, spare) = (TempDir::new(), TempDir::new());
        chmod(folder.path(), 0o755);
        chmod(spare.path(), 0o777);
        body(&folder, &spare);
    });
}

fn chmod(path: impl AsRef<Path>, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn folder_without_write_permission_is_eacces_to_bind_unless_the_name_is_taken<T: Data>(test: &str) {
    with_folders(test, |folder, spare| {
        let _live = T::serve(&folder.addr("live")).unwrap();
        std::fs::write(folder.join("file"), "").unwrap();
        let _nobody = Nobody::new();
        check_bind::<T>(
            folder.path(),
            spare.path(),
            &[("new", ACCES, NO_ENT), ("live", IN_USE, OK), ("file", IN_USE, REFUSED)],
        );
    });
}

fn folder_without_search_permission_is_eacces_to_all<T: Data + 'static>(test: &str) {
    with_folders(test, |folder, spare| {
        std::fs::create_dir(folder.join("closed")).unwrap();
        let _live = T::serve(&folder.addr("closed/live")).unwrap();
        let _good = T::serve(&spare.addr("good")).unwrap();
        chmod(spare.join("good"), 0o777);
        chmod(folder.join("closed"), 0o666);
        // Nobody could not even list what is in it, so the look at its files comes after.
        let before = snapshot(folder.path());
        {
            let _nobody = Nobody::new();
            for name in ["closed/new", "closed/live"] {
                let target = folder.addr(name);
                assert_eq!(T::bind(&target).map(drop), ACCES, "{name}");
                assert_eq!(T::serve(&target).map(drop), ACCES, "{name}");
                check_reach::<T>(&target, name, ACCES, spare.path(), &spare.addr("good"));
            }
        }
        assert_eq!(snapshot(folder.path()), before);
    });
}

/// See "Write permission on the file admits, and is checked first" in `kernel.md`.
fn socket_without_write_permission_is_eacces_before_anything_else_is_looked_at<
    T: Data + 'static,
>(
    test: &str,
) {
    with_folders(test, |folder, spare| {
        let _live = T::serve(&folder.addr("live")).unwrap();
        drop(T::serve(&folder.addr("stale")).unwrap());
        let _other = other_type::<T>(&folder.addr("other-type"));
        std::fs::write(folder.join("file"), "").unwrap();
        let _good = T::serve(&spare.addr("good")).unwrap();
        chmod(spare.join("good"), 0o777);
        for mode in [0o600, 0o444, 0o000] {
            let names = ["live", "stale", "other-type", "file"];
            names.iter().for_each(|name| chmod(folder.join(name), mode));
            let _nobody = Nobody::new();
            for name in names {
                check_one::<T>(folder, name);
            }
        }
        let _nobody = Nobody::new();
        check_connect::<T>(folder.path(), &spare.addr("good"), &[("live", IN_USE, ACCES)]);
    });
}

fn check_one<T: Data>(folder: &TempDir, name: &str) {
    let (before, from) = (snapshot(folder.path()), crate::common::name("from"));
    let socket = T::unbound().unwrap();
    assert_eq!(socket.connect_to(&folder.addr(name)), ACCES, "{name}");
    assert_eq!(T::connect_from_to(&from, &folder.addr(name)).map(drop), ACCES, "{name}");
    assert_eq!(snapshot(folder.path()), before);
}

fn socket_with_write_permission_alone_can_be_connected_to<T: Data + 'static>(test: &str) {
    with_folders(test, |folder, _| {
        let _live = T::serve(&folder.addr("live")).unwrap();
        chmod(folder.join("live"), 0o222);
        let _nobody = Nobody::new();
        check_connect::<T>(folder.path(), &folder.addr("live"), &[("live", IN_USE, OK)]);
    });
}

fn connect_to_a_socket_without_write_permission_is_eacces_then_works_with_it<T: Connects>(
    test: &str,
) {
    with_folders(test, |folder, _| {
        let _live = T::serve(&folder.addr("live")).unwrap();
        chmod(folder.join("live"), 0o755);
        let client = {
            let _nobody = Nobody::new();
            assert_eq!(T::connect(&folder.addr("live")).map(drop), ACCES);
            let client = T::unbound().unwrap();
            assert_eq!(client.connect_to(&folder.addr("live")), ACCES);
            client
        };
        chmod(folder.join("live"), 0o002);
        let _nobody = Nobody::new();
        assert_eq!(client.connect_to(&folder.addr("live")), OK);
        assert!(T::connect(&folder.addr("live")).is_ok());
    });
}

fn sticky_folder_lets_others_bind_beside_but_not_over_a_file<T: Data>(test: &str) {
    with_folders(test, |folder, spare| {
        let _live = T::serve(&folder.addr("live")).unwrap();
        chmod(folder.path(), 0o1777);
        let _nobody = Nobody::new();
        let rows = [("live", IN_USE, ACCES), ("new", OK, NO_ENT)];
        check_bind::<T>(folder.path(), spare.path(), &rows);
        // Which is why a stale socket there stays in the way.
        let refused = std::fs::remove_file(folder.join("live")).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
    });
}

fn connect_from_to_in_a_sticky_folder_removes_its_own_file<T: Data>(test: &str) {
    with_folders(test, |folder, _| {
        chmod(folder.path(), 0o1777);
        let _nobody = Nobody::new();
        let failed = T::connect_from_to(&folder.addr("mine"), &folder.addr("missing"));
        assert_eq!(failed.map(drop), NO_ENT);
        assert_eq!(snapshot(folder.path()), []);
    });
}
