//! What is kept by a keyed hash, in little memory and found by one look into it.
//!
//! A hash says where its entry is at home: as far into the table as it is into all hashes. So entries
//! are in the order of their keys, with gaps between them, and one whose home is taken is behind it with
//! no gap in between. The table grows by an eighth at a time, in blocks of one size: its places are 78 to
//! 88 of 100 taken, and blocks that one table gives back serve the next. It gives some back when half of
//! it is free. Whoever has many entries keeps them in many tables, because one that grows moves all of
//! its own: 4,000 in some 70 µs.

/// Something that is kept by a hash.
pub(super) trait Entry {
    /// The hash, or as much of it as tells entries apart.
    type Key: Copy + Ord;

    fn key(&self) -> Self::Key;

    /// The first 32 bits in which the keys of a table differ.
    fn beginning(key: Self::Key) -> u32;
}

/// Entries in the order of their keys.
pub(super) struct Hashed<E> {
    /// Places, [`BLOCK`](Self::BLOCK) in each.
    blocks: Vec<Box<[Option<E>]>>,
    /// Homes are spread over so many places. Behind them are those who found no other.
    homes: usize,
    len: usize,
}

impl<E: Entry> Hashed<E> {
    const BLOCK: usize = 2048 / size_of::<Option<E>>();

    pub(super) const fn new() -> Self {
        Self { blocks: Vec::new(), homes: 0, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: E::Key) -> Option<&E> {
        self.find(key).ok().and_then(|at| self.entry(at))
    }

    pub(super) fn get_mut(&mut self, key: E::Key) -> Option<&mut E> {
        self.find(key).ok().and_then(|at| self.place_mut(at).as_mut())
    }

    /// The entry with this key; `new` makes it where there is none.
    pub(super) fn get_or_insert_with(&mut self, key: E::Key, new: impl FnOnce() -> E) -> &mut E {
        let at = self.find(key).unwrap_or_else(|at| self.insert_at(at, new()));
        self.place_mut(at).as_mut().expect("it was just found or put there")
    }

    /// Puts an entry in, for the one with its key if there is one; that is returned.
    pub(super) fn insert(&mut self, entry: E) -> Option<E> {
        match self.find(entry.key()) {
            Ok(at) => self.place_mut(at).replace(entry),
            Err(at) => {
                self.insert_at(at, entry);
                None
            }
        }
    }

    /// Puts many entries in, in whatever order; where two have one key, the one that is `better` stays.
    ///
    /// One by one they would be slow in the order of their keys, in which a table writes its own: they
    /// would crowd where the first keys are at home.
    pub(super) fn merge(
        &mut self,
        entries: impl Iterator<Item = E>,
        better: impl Fn(&E, &E) -> bool,
    ) {
        let mut all = self.take_all();
        all.extend(entries);
        all.sort_by_key(E::key);
        all.dedup_by(|next, kept| {
            let is_same = next.key() == kept.key();
            if is_same && better(next, kept) {
                std::mem::swap(next, kept);
            }
            is_same
        });
        self.lay_out_with_room(all);
    }

    pub(super) fn remove(&mut self, key: E::Key) -> Option<E> {
        let mut at = self.find(key).ok()?;
        let removed = self.place_mut(at).take();
        self.len -= 1;
        // Whoever is behind it and not at home moves up.
        while let Some(next) = self.entry(at + 1)
            && self.home(next.key()) <= at
        {
            let next = self.place_mut(at + 1).take();
            *self.place_mut(at) = next;
            at += 1;
        }
        if 2 * self.len < self.homes && self.homes > Self::BLOCK {
            let entries = self.take_all();
            self.lay_out_with_room(entries);
        }
        removed
    }

    /// Keeps the entries of which `is_kept` says so, which may change all but their keys.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&mut E) -> bool) {
        let mut has_gaps = false;
        for place in self.blocks.iter_mut().flatten() {
            if place.as_mut().is_some_and(|entry| !is_kept(entry)) {
                *place = None;
                has_gaps = true;
            }
        }
        if has_gaps {
            let kept = self.take_all();
            self.lay_out_with_room(kept);
        }
    }

    /// All of them, in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = &E> {
        self.blocks.iter().flatten().flatten()
    }

    /// Those whose keys are not less than this, in their order.
    pub(super) fn iter_from(&self, key: E::Key) -> impl Iterator<Item = &E> {
        let from = self.find(key).unwrap_or_else(|at| at);
        (from..self.places()).filter_map(|at| self.entry(at))
    }

    /// Puts an entry in whose key is not there and belongs at this place. Returns where it is, which is
    /// elsewhere if the table has grown.
    fn insert_at(&mut self, mut at: usize, entry: E) -> usize {
        if 8 * (self.len + 1) > 7 * self.homes {
            let entries = self.take_all();
            self.lay_out(entries, self.homes + self.homes / 8 + 1);
            at = self.find(entry.key()).unwrap_or_else(|at| at);
        }
        self.len += 1;
        let (mut moved, mut to) = (Some(entry), at);
        while moved.is_some() {
            if to == self.places() {
                self.blocks.push(empty_block(Self::BLOCK));
            }
            moved = std::mem::replace(self.place_mut(to), moved);
            to += 1;
        }
        at
    }

    /// Where the key is; or where it belongs, which may be behind the last place.
    fn find(&self, key: E::Key) -> Result<usize, usize> {
        let mut at = self.home(key);
        while let Some(entry) = self.entry(at) {
            match entry.key().cmp(&key) {
                std::cmp::Ordering::Less => at += 1,
                std::cmp::Ordering::Equal => return Ok(at),
                std::cmp::Ordering::Greater => break,
            }
        }
        Err(at)
    }

    fn home(&self, key: E::Key) -> usize {
        let home = (u64::from(E::beginning(key)) * self.homes as u64) >> 32;
        usize::try_from(home).expect("it is less than there are homes")
    }

    fn take_all(&mut self) -> Vec<E> {
        let mut entries = Vec::with_capacity(self.len);
        entries.extend(self.blocks.iter_mut().flatten().filter_map(Option::take));
        entries
    }

    /// Puts entries in their order into places that are all free, of which a fifth stays so.
    fn lay_out_with_room(&mut self, entries: Vec<E>) {
        let homes = entries.len() * 5 / 4;
        self.lay_out(entries, homes);
    }

    /// Puts entries, which are in their order, into places that are all free; into as many blocks as so
    /// many homes need.
    fn lay_out(&mut self, entries: Vec<E>, homes: usize) {
        debug_assert!(entries.is_sorted_by(|one, next| one.key() < next.key()));
        let blocks = homes.div_ceil(Self::BLOCK);
        self.blocks.resize_with(blocks, || empty_block(Self::BLOCK));
        self.homes = blocks * Self::BLOCK;
        self.len = entries.len();
        let mut free = 0;
        for entry in entries {
            let at = self.home(entry.key()).max(free);
            if at == self.places() {
                self.blocks.push(empty_block(Self::BLOCK));
            }
            *self.place_mut(at) = Some(entry);
            free = at + 1;
        }
    }

    fn places(&self) -> usize {
        self.blocks.len() * Self::BLOCK
    }

    fn entry(&self, at: usize) -> Option<&E> {
        self.blocks.get(at / Self::BLOCK)?[at % Self::BLOCK].as_ref()
    }

    fn place_mut(&mut self, at: usize) -> &mut Option<E> {
        &mut self.blocks[at / Self::BLOCK][at % Self::BLOCK]
    }
}

/// From entries in the order of their keys, each of which is there once.
impl<E: Entry> FromIterator<E> for Hashed<E> {
    fn from_iter<I: IntoIterator<Item = E>>(entries: I) -> Self {
        let mut hashed = Self::new();
        hashed.lay_out_with_room(entries.into_iter().collect());
        hashed
    }
}

fn empty_block<E>(places: usize) -> Box<[Option<E>]> {
    (0..places).map(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Pair(u64, char);

    impl Entry for Pair {
        type Key = u64;

        fn key(&self) -> u64 {
            self.0
        }

        fn beginning(key: u64) -> u32 {
            let [a, b, c, d, ..] = key.to_be_bytes();
            u32::from_be_bytes([a, b, c, d])
        }
    }

    /// No gap between anybody and home, nobody before it, all in order, and as many as are counted.
    fn check(hashed: &Hashed<Pair>) {
        assert_eq!(hashed.iter().count(), hashed.len());
        assert!(hashed.iter().is_sorted_by_key(|pair| pair.0));
        for at in 0..hashed.places() {
            let Some(entry) = hashed.entry(at) else { continue };
            let home = hashed.home(entry.0);
            assert!(home <= at && (home..at).all(|between| hashed.entry(between).is_some()));
        }
    }

    /// Keys that are spread, and keys that are at home in one place, in the first one or in the last.
    fn keys() -> impl Strategy<Value = u64> {
        let crowd =
            |beginning: u32| (0..60_u64).prop_map(move |end| u64::from(beginning) << 32 | end);
        prop_oneof![any::<u64>(), crowd(0), crowd(1 << 31), crowd(u32::MAX)]
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64, char),
        Change(u64, char),
        Remove(u64),
        Thin(u64),
        Merge(Vec<(u64, char)>),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            20 => (keys(), any::<char>()).prop_map(|(key, value)| Step::Insert(key, value)),
            4 => (keys(), any::<char>()).prop_map(|(key, value)| Step::Change(key, value)),
            6 => keys().prop_map(Step::Remove),
            1 => (0..4_u64).prop_map(Step::Thin),
            1 => prop::collection::vec((keys(), any::<char>()), 0..40).prop_map(Step::Merge),
        ];
        prop::collection::vec(step, 1..700)
    }

    proptest! {
        #[test]
        fn it_does_what_a_tree_does(steps in steps(), sought in keys()) {
            let (mut hashed, mut tree) = (Hashed::new(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        let before = hashed.insert(Pair(key, value)).map(|pair| pair.1);
                        prop_assert_eq!(before, tree.insert(key, value));
                    }
                    Step::Change(key, value) => {
                        hashed.get_or_insert_with(key, || Pair(key, 'n')).1 = value;
                        tree.insert(key, value);
                    }
                    Step::Remove(key) => {
                        let removed = hashed.remove(key).map(|pair| pair.1);
                        prop_assert_eq!(removed, tree.remove(&key));
                    }
                    Step::Thin(rest) => {
                        hashed.retain(|pair| pair.0 % 4 != rest);
                        tree.retain(|key, _| *key % 4 != rest);
                    }
                    Step::Merge(pairs) => {
                        let entries = pairs.iter().map(|(key, value)| Pair(*key, *value));
                        hashed.merge(entries, |one, other| one.1 > other.1);
                        for (key, value) in pairs {
                            let kept = tree.entry(key).or_insert(value);
                            *kept = value.max(*kept);
                        }
                    }
                }
            }
            check(&hashed);
            prop_assert!(hashed.iter().map(|pair| (pair.0, pair.1)).eq(tree.clone()));
            for key in tree.keys().copied().chain([sought]) {
                prop_assert_eq!(hashed.get(key).map(|pair| &pair.1), tree.get(&key));
                prop_assert_eq!(hashed.get_mut(key).map(|pair| pair.1), tree.get(&key).copied());
            }
            let from = hashed.iter_from(sought).map(|pair| pair.0);
            prop_assert!(from.eq(tree.range(sought..).map(|(key, _)| *key)));
        }
    }

    #[test]
    fn places_are_mostly_taken() {
        const BLOCK: usize = Hashed::<Pair>::BLOCK;
        let pair = |number: u64| Pair(number.wrapping_mul(0x9E37_79B9_7F4A_7C15), 'x');
        let mut hashed = Hashed::new();
        for number in 0..20_000 {
            hashed.insert(pair(number));
            let (places, len) = (hashed.places(), hashed.len());
            assert!(places <= len * 13 / 10 + 2 * BLOCK, "{places} for {len}");
        }
        check(&hashed);
        hashed.retain(|pair| pair.0 < 1 << 63);
        assert!(hashed.places() <= hashed.len() * 13 / 10 + 2 * BLOCK);
        check(&hashed);
        for number in 0..20_000 {
            hashed.remove(pair(number).0);
            let (places, len) = (hashed.places(), hashed.len());
            assert!(places <= 2 * len + 2 * BLOCK, "{places} for {len}");
        }
        assert_eq!((hashed.len(), hashed.places()), (0, BLOCK));
        hashed.insert(pair(7));
        hashed.retain(|_| false);
        assert_eq!(hashed.places(), 0);
        assert_eq!(hashed.insert(pair(7)), None);
        check(&hashed);
    }
}
