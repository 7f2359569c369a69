//! The umask and the working directory.

use std::os::unix::fs::MetadataExt;

use afunix::Errno;

use crate::common::kinds::{Data, Socket};
use crate::common::{TempDir, addr, passes_in_child};

for_all!(bind_to_a_path_makes_a_file_of_mode_0777_less_the_umask);
for_data!(bind_to_a_relative_path_is_seen_from_the_folder_it_was_made_in);

fn bind_to_a_path_makes_a_file_of_mode_0777_less_the_umask<T: Socket>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        for umask in [0, 0o022, 0o077, 0o177, 0o777] {
            // SAFETY: a number alone.
            unsafe { libc::umask(umask) };
            let path = folder.join(format!("{umask:o}"));
            let _socket = T::bind(&addr(&path)).unwrap();
            let mode = path.symlink_metadata().unwrap().mode();
            assert_eq!(mode & 0o7777, 0o777 & !umask, "umask {umask:o}");
        }
    });
}

fn bind_to_a_relative_path_is_seen_from_the_folder_it_was_made_in<T: Data>(test: &str) {
    passes_in_child(test, || {
        let (folder, elsewhere) = (TempDir::new(), TempDir::new());
        let relative = addr("relative");
        std::env::set_current_dir(folder.path()).unwrap();
        let _server = T::serve(&relative).unwrap();
        let client = T::unbound().unwrap();
        std::env::set_current_dir(elsewhere.path()).unwrap();
        assert_eq!(client.connect_to(&relative), Err(Errno::NOENT));
        assert_eq!(client.connect_to(&folder.addr("relative")), Ok(()));
        // The peer's name is the string that it was bound to, of no use from here.
        assert_eq!(client.peer_addr(), Ok(relative));
        std::env::set_current_dir(folder.path()).unwrap();
        assert_eq!(T::unbound().unwrap().connect_to(&relative), Ok(()));
        std::env::set_current_dir("/").unwrap();
    });
}
