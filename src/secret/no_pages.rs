//! Where there is no way to map memory: the face of `pages.rs`, and nothing behind it.

use core::convert::Infallible;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use super::Protection;

pub(super) struct Mapping(Infallible);

pub(super) struct Pages<T>(Infallible, PhantomData<T>);

impl Mapping {
    pub(super) fn new(_: usize, _: Protection) -> Result<Self, Option<i32>> {
        Err(None)
    }
}

impl<T> Pages<T> {
    #[expect(clippy::needless_pass_by_value, reason = "as `pages.rs` has it")]
    pub(super) fn new(mapping: Mapping, _: T) -> Self {
        match mapping.0 {}
    }

    pub(super) fn protection(&self) -> Protection {
        match self.0 {}
    }
}

impl<T> Deref for Pages<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self.0 {}
    }
}

impl<T> DerefMut for Pages<T> {
    fn deref_mut(&mut self) -> &mut T {
        match self.0 {}
    }
}

pub(super) fn remedy(_: i32) -> &'static str {
    ""
}
