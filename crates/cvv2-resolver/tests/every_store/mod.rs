//! The same tests over an empty store of each kind.

use cvv2_resolver::{CardImport, EmbeddedStore, MemoryStore, StoreKeys};

/// What shows an empty store to a test.
#[allow(dead_code, reason = "not every test program has a use for it")]
pub(crate) type OnEmptyStore = fn(&mut dyn FnMut(&dyn CardImport));

pub(crate) fn on_memory(test: &mut dyn FnMut(&dyn CardImport)) {
    test(&MemoryStore::new());
}

pub(crate) fn on_embedded(test: &mut dyn FnMut(&dyn CardImport)) {
    let home = tempfile::tempdir().unwrap();
    let keys = StoreKeys::generate().unwrap();
    test(&EmbeddedStore::create(home.path().join("cards"), &keys).unwrap());
}

#[cfg(feature = "postgres")]
pub(crate) fn on_postgres(test: &mut dyn FnMut(&dyn CardImport)) {
    test(&crate::postgres_server::new_store());
}

/// Makes a test for each kind of store of each function, which takes an empty store.
macro_rules! on_every_store {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $test() { crate::every_store::on_memory(&mut |store| super::$test(store)); })*
        }
        on_lasting_stores! { $($test),* }
    };
}

/// Makes a test for each kind of store that outlives the process of each function, which takes an
/// empty store. To be used once in a module.
macro_rules! on_lasting_stores {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            $(#[test] fn $test() { crate::every_store::on_embedded(&mut |store| super::$test(store)); })*
        }
        #[cfg(feature = "postgres")]
        mod postgres {
            $(
                #[test]
                #[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
                fn $test() { crate::every_store::on_postgres(&mut |store| super::$test(store)); }
            )*
        }
    };
}
