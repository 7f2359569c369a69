//! From the making of a file to its end: who removes it, when, and when not.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as Std, UnixStream as StdStream};

use afunix::{Errno, SocketFile, SocketFileError, Step, UnixListener};

use crate::common::{Nobody, Watchdog, close, is_root, passes_in_child, skip};
use crate::world::{NAME, TEMPORARY, World, node};

fn made(world: &World) -> (UnixListener, SocketFile) {
    SocketFile::options(&world.bytes()).listener().unwrap()
}

fn is_reached(world: &World) -> bool {
    StdStream::connect(world.path()).is_ok()
}

#[test]
fn a_file_stays_unless_it_was_to_be_removed_on_drop() {
    let _watchdog = Watchdog::new();
    let world = World::new();
    let (listener, file) = made(&world);
    drop(file);
    assert!(is_reached(&world));
    close(listener);
    let path = world.bytes();
    let options = SocketFile::options(&path).reclaim().remove_on_drop();

    let (listener, file) = options.listener().unwrap();
    drop(file);
    assert_eq!(world.entries(), []);
    close(listener);

    let (listener, file) = options.listener().unwrap();
    file.keep();
    assert!(is_reached(&world));
    close(listener);

    // What failed had nothing to remove.
    let (_listener, kept) = options.listener().unwrap();
    assert_eq!(options.listener().unwrap_err(), SocketFileError::InUse);
    assert!(is_reached(&world));

    // It was removed already, and another has the name.
    assert_eq!(kept.remove(), Ok(true));
    let _other = Std::bind(world.path()).unwrap();
    let other = world.entries();
    drop(kept);
    assert_eq!(world.entries(), other);
}

#[test]
fn the_file_and_the_socket_can_go_in_any_order() {
    let _watchdog = Watchdog::new();
    let world = World::new();
    let path = world.bytes();
    let options = SocketFile::options(&path).remove_on_drop();

    let (listener, file) = options.listener().unwrap();
    let _client = StdStream::connect(world.path()).unwrap();
    drop(file);
    // The connection that was pending is not lost.
    listener.accept().unwrap();
    assert_eq!(world.entries(), []);
    drop(listener);

    let (listener, file) = options.listener().unwrap();
    close(listener);
    assert_eq!(file.is_in_place(), Ok(true));
    drop(file);
    assert_eq!(world.entries(), []);
}

/// What the file system does with the number of an inode that nobody has any more.
fn reuses_inodes(world: &World) -> bool {
    (0..20).any(|_| {
        drop(Std::bind(world.path()).unwrap());
        let first = node(&world.path());
        fs::remove_file(world.path()).unwrap();
        drop(Std::bind(world.path()).unwrap());
        let second = node(&world.path());
        fs::remove_file(world.path()).unwrap();
        first == second
    })
}

/// Whether it is ext4, which gives a number away at once.
fn is_ext4(world: &World) -> bool {
    let folder = fs::File::open(world.folder()).unwrap();
    // SAFETY: zeros are a value of it, which is ours to write.
    let found = unsafe {
        let mut found: libc::statfs = std::mem::zeroed();
        assert_eq!(libc::fstatfs(folder.as_raw_fd(), &raw mut found), 0);
        found
    };
    found.f_type == 0xef53
}

#[test]
fn a_new_file_is_never_taken_for_the_old_one() {
    // In a process of its own: a copy of a socket, in a child of another test, would keep the inode.
    passes_in_child("life::a_new_file_is_never_taken_for_the_old_one", || {
        let _watchdog = Watchdog::new();
        let world = World::new();
        assert!(reuses_inodes(&world) || !is_ext4(&world), "numbers would be seen to return");
        for round in 0..100 {
            let (listener, file) = made(&world);
            drop(listener);
            if round % 2 == 0 {
                fs::remove_file(world.path()).unwrap();
            } else {
                let (_taker, taken) =
                    SocketFile::options(&world.bytes()).reclaim().listener().unwrap();
                assert_eq!(taken.remove(), Ok(true));
            }
            let _new = Std::bind(world.path()).unwrap();
            let entries = world.entries();
            assert_eq!(file.is_in_place(), Ok(false));
            assert_eq!(file.remove(), Ok(false));
            assert_eq!(world.entries(), entries);
            assert!(is_reached(&world));
            fs::remove_file(world.path()).unwrap();
        }
    });
}

#[test]
fn it_is_removed_once() {
    let _watchdog = Watchdog::new();
    let world = World::new();
    let (_listener, file) = made(&world);
    assert_eq!((file.is_in_place(), file.remove()), (Ok(true), Ok(true)));
    assert_eq!((file.is_in_place(), file.remove()), (Ok(false), Ok(false)));
    assert_eq!(world.entries(), []);
    let (_again, other) = made(&world);
    assert_eq!(file.remove(), Ok(false));
    assert_eq!(other.is_in_place(), Ok(true));
}

#[test]
fn under_another_name_it_is_left_alone() {
    let _watchdog = Watchdog::new();
    let world = World::new();
    let (_listener, file) = made(&world);
    let elsewhere = world.folder().join("elsewhere");
    fs::rename(world.path(), &elsewhere).unwrap();
    assert_eq!((file.is_in_place(), file.remove()), (Ok(false), Ok(false)));
    assert!(StdStream::connect(&elsewhere).is_ok());

    fs::rename(&elsewhere, world.path()).unwrap();
    assert_eq!(file.is_in_place(), Ok(true));
    fs::hard_link(world.path(), &elsewhere).unwrap();
    assert_eq!((file.is_in_place(), file.remove()), (Ok(true), Ok(true)));
    assert_eq!((file.is_in_place(), file.remove()), (Ok(false), Ok(false)));
    assert!(StdStream::connect(&elsewhere).is_ok());
    assert_eq!(node(&world.path()), None);

    // At the temporary name it is what is left over.
    fs::rename(&elsewhere, world.folder().join(TEMPORARY)).unwrap();
    assert_eq!((file.is_in_place(), file.remove()), (Ok(false), Ok(false)));
    assert_eq!(world.entries().len(), 1);
}

#[test]
fn where_what_has_the_name_is_no_socket_it_is_left_alone() {
    let _watchdog = Watchdog::new();
    let world = World::new();
    let (_listener, file) = made(&world);
    fs::remove_file(world.path()).unwrap();
    for make in [
        |world: &World| fs::write(world.path(), "content").unwrap(),
        |world: &World| std::os::unix::fs::symlink(NAME, world.path()).unwrap(),
        |world: &World| {
            // A link to a socket.
            drop(Std::bind(world.aside("socket")).unwrap());
            std::os::unix::fs::symlink(world.aside("socket"), world.path()).unwrap();
        },
    ] {
        make(&world);
        let entries = world.entries();
        assert_eq!((file.is_in_place(), file.remove()), (Ok(false), Ok(false)));
        assert_eq!(world.entries(), entries);
        fs::remove_file(world.path()).unwrap();
    }
    fs::create_dir(world.path()).unwrap();
    assert_eq!((file.is_in_place(), file.remove()), (Ok(false), Ok(false)));
    assert!(world.path().is_dir());
}

#[test]
fn it_goes_with_its_directory() {
    let _watchdog = Watchdog::new();
    let world = World::new();
    let (_listener, file) = made(&world);
    fs::rename(world.folder(), world.moved()).unwrap();
    fs::create_dir(world.folder()).unwrap();
    let (_other, other) = made(&world);
    assert_eq!((file.is_in_place(), file.remove()), (Ok(true), Ok(true)));
    assert_eq!(other.is_in_place(), Ok(true));

    fs::remove_dir_all(world.folder()).unwrap();
    assert_eq!((other.is_in_place(), other.remove()), (Ok(false), Ok(false)));
    fs::create_dir(world.folder()).unwrap();
    assert_eq!((other.is_in_place(), other.remove()), (Ok(false), Ok(false)));
    drop((other, file));
    assert_eq!(world.entries(), []);
}

#[test]
fn where_it_may_not_be_removed_it_stays() {
    passes_in_child("life::where_it_may_not_be_removed_it_stays", || {
        if !is_root() {
            return skip("only root may become somebody else");
        }
        let _watchdog = Watchdog::new();
        let world = World::new();
        let chmod = |mode| {
            fs::set_permissions(world.folder(), PermissionsExt::from_mode(mode)).unwrap();
        };
        chmod(0o755);
        for folder in [world.folder().parent().unwrap(), &world.folder()] {
            std::os::unix::fs::chown(folder, Some(Nobody::UID), Some(Nobody::UID)).unwrap();
        }
        let _nobody = Nobody::new();
        let (_listener, file) = made(&world);
        let errors = |mode| {
            chmod(mode);
            let errors = (file.is_in_place(), file.remove());
            chmod(0o755);
            assert_eq!(file.is_in_place(), Ok(true));
            assert_eq!(world.entries().len(), 1);
            errors
        };
        let step = |answer| match answer {
            Err(SocketFileError::Kernel { step, errno: Errno::ACCESS, .. }) => step,
            other => panic!("{other:?}"),
        };
        let (look, remove) = errors(0o555);
        assert_eq!((look, step(remove)), (Ok(true), Step::Remove));
        let (look, remove) = errors(0o666);
        assert_eq!((step(look), step(remove)), (Step::Look, Step::Lock));
        assert_eq!(file.remove(), Ok(true));
    });
}

/// As a kill leaves it between the exchange of the two files and the removal of the other.
#[test]
fn who_was_replaced_gets_the_name_back_from_a_successor_who_was_killed() {
    let _watchdog = Watchdog::new();
    for reclaims in [false, true] {
        let world = World::new();
        let path = world.bytes();
        let (old, old_node) = world.live();
        fs::rename(world.path(), world.folder().join(TEMPORARY)).unwrap();
        world.stale();
        let options = SocketFile::options(&path);
        let options = if reclaims { options.reclaim() } else { options };
        assert_eq!(options.listener().unwrap_err(), SocketFileError::InUse);
        assert_eq!(world.entries(), [(NAME.to_string(), old_node)]);
        assert!(is_reached(&world));
        old.accept().unwrap();

        let (_new, file) = SocketFile::options(&path).replace().listener().unwrap();
        assert_eq!((file.is_in_place(), world.entries().len()), (Ok(true), 1));
    }
}
