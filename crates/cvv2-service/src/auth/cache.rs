//! Tokens that were verified a short while ago.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};

/// The hash of a token: the token itself is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// At most so many values, the ones that were asked for lately.
///
/// Two generations: when the young one is full, it becomes the old one, and what is asked for of the
/// old one becomes young again. Only verified tokens get in, so nobody without one can push others
/// out.
pub(super) struct Cache<T> {
    generation_max: usize,
    generations: RwLock<Generations<T>>,
}

struct Generations<T> {
    young: HashMap<TokenHash, Arc<T>>,
    old: HashMap<TokenHash, Arc<T>>,
}

impl<T> Cache<T> {
    pub(super) fn new(entries_max: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new() };
        Self { generation_max: (entries_max / 2).max(1), generations: RwLock::new(generations) }
    }

    pub(super) fn get(&self, token: TokenHash) -> Option<Arc<T>> {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = generations.young.get(&token) {
            return Some(Arc::clone(value));
        }
        let value = Arc::clone(generations.old.get(&token)?);
        drop(generations);
        self.put(token, Arc::clone(&value));
        Some(value)
    }

    pub(super) fn put(&self, token: TokenHash, value: Arc<T>) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= self.generation_max {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(token, value);
    }

    pub(super) fn remove(&self, token: TokenHash) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        generations.young.remove(&token);
        generations.old.remove(&token);
    }

    pub(super) fn clear(&self) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        *generations = Generations { young: HashMap::new(), old: HashMap::new() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_is_asked_for_and_never_more_than_its_size() {
        let cache = Cache::new(8);
        let token = |number: usize| TokenHash::of(&number.to_string());
        for number in 0..1_000 {
            cache.put(token(number), Arc::new(number));
            assert_eq!(cache.get(token(number)).as_deref(), Some(&number));
            assert_eq!(cache.get(token(0)).as_deref(), Some(&0), "after {number}");
            let generations = cache.generations.read().unwrap();
            assert!(generations.young.len() + generations.old.len() <= 8);
        }
        assert!(cache.get(token(1)).is_none());
        cache.remove(token(0));
        assert!(cache.get(token(0)).is_none());
        cache.clear();
        assert!(cache.get(token(999)).is_none());
    }
}
