//! The types that a pool has met. Builtin types are known from the start, the others are learned
//! from rows of [`LOOKUP_SQL`], which the caller runs. It never runs a query itself.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::columns::Columns;
use super::message::MalformedMessage;
use super::row::Row;
use super::types::{CATEGORY_STRING, TypeInfo, TypeKind};

/// Types kept per pool besides the builtin ones; the least recently used goes first.
const MAX_LEARNED: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// How far domains over arrays over domains are followed.
const MAX_NESTING: u8 = 16;
/// Above every oid that `tokio_postgres` knows by itself.
const BUILTIN_OIDS: std::ops::Range<u32> = 1..10_000;

/// Describes types: one parameter, a list of oids as `oid[]` in text (`{1,2}`); one row for each
/// of them and for every type that they are made of. To be read with [`TypeCatalogue::learn`].
///
/// Everything is qualified, operators too: it runs under the caller's search_path.
pub const LOOKUP_SQL: &str = "\
WITH RECURSIVE wanted(oid) AS (\
 SELECT pg_catalog.unnest($1::pg_catalog.oid[]) \
 UNION \
 SELECT CASE WHEN t.typtype OPERATOR(pg_catalog.=) 'd' THEN t.typbasetype ELSE e.oid END \
 FROM wanted w \
 JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) w.oid \
 LEFT JOIN pg_catalog.pg_type e ON e.oid OPERATOR(pg_catalog.=) t.typelem \
  AND e.typarray OPERATOR(pg_catalog.=) t.oid) \
SELECT t.oid, t.typname, t.typtype, t.typcategory, t.typdelim, t.typbasetype, e.oid \
FROM wanted w \
JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) w.oid \
LEFT JOIN pg_catalog.pg_type e ON e.oid OPERATOR(pg_catalog.=) t.typelem \
 AND e.typarray OPERATOR(pg_catalog.=) t.oid";

/// Number of columns of [`LOOKUP_SQL`].
const LOOKUP_COLUMNS: usize = 7;

/// A learned type as the catalogue row says it; what it refers to is found when it is asked for,
/// so that rows may come in any order.
#[derive(Debug, Clone)]
struct Entry {
    name: Arc<str>,
    category: u8,
    /// Delimiter of arrays *of* this type.
    delimiter: u8,
    made_of: MadeOf,
}

#[derive(Debug, Clone, Copy)]
enum MadeOf {
    Itself,
    /// A domain over this type.
    Base(u32),
    /// An array of this type.
    Element(u32),
}

/// Types by oid, for one database.
#[derive(Debug)]
pub struct TypeCatalogue {
    builtin: HashMap<u32, Arc<TypeInfo>>,
    learned: Mutex<LruCache<u32, Entry>>,
    lookup_columns: Columns,
}

impl Default for TypeCatalogue {
    fn default() -> Self {
        Self::new()
    }
}

impl TypeCatalogue {
    /// A catalogue of the builtin types.
    pub fn new() -> Self {
        let builtin = BUILTIN_OIDS
            .filter_map(|oid| TypeInfo::builtin(oid).map(|ty| (oid, Arc::new(ty))))
            .collect();
        Self {
            builtin,
            learned: Mutex::new(LruCache::new(MAX_LEARNED)),
            lookup_columns: Columns::of_text(LOOKUP_COLUMNS),
        }
    }

    /// The type of that oid, if it and all that it is made of are known.
    pub fn get(&self, oid: u32) -> Option<Arc<TypeInfo>> {
        match self.builtin.get(&oid) {
            Some(ty) => Some(Arc::clone(ty)),
            None => self.build(&mut self.learned(), oid, MAX_NESTING),
        }
    }

    /// The type of that oid; one named `unknown`, treated as text, if the catalogue lacks it.
    pub fn resolve(&self, oid: u32) -> Arc<TypeInfo> {
        self.get(oid).unwrap_or_else(|| Arc::new(TypeInfo::unknown(oid)))
    }

    /// Those of `oids` that have to be looked up, each once.
    pub fn missing(&self, oids: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let mut missing = Vec::new();
        for oid in oids {
            if oid != 0 && !missing.contains(&oid) && self.get(oid).is_none() {
                missing.push(oid);
            }
        }
        missing
    }

    /// Takes in one row of [`LOOKUP_SQL`]: the body of a DataRow whose columns are all text.
    pub fn learn(&self, body: &[u8]) -> Result<(), MalformedMessage> {
        let row = Row::new(&self.lookup_columns, body)?;
        let fields: [Option<&str>; LOOKUP_COLUMNS] = std::array::from_fn(|i| row.text(i));
        self.insert_from_row(&fields)
    }

    /// Takes in one row of [`LOOKUP_SQL`] as text fields.
    pub fn insert_from_row(&self, fields: &[Option<&str>]) -> Result<(), MalformedMessage> {
        let (oid, entry) =
            parse_row(fields).ok_or(MalformedMessage("a row of the type look-up"))?;
        if !self.builtin.contains_key(&oid) {
            self.learned().put(oid, entry);
        }
        Ok(())
    }

    fn build(
        &self,
        learned: &mut LruCache<u32, Entry>,
        oid: u32,
        levels: u8,
    ) -> Option<Arc<TypeInfo>> {
        if let Some(ty) = self.builtin.get(&oid) {
            return Some(Arc::clone(ty));
        }
        let levels = levels.checked_sub(1)?;
        let entry = learned.get(&oid)?.clone();
        let kind = match entry.made_of {
            MadeOf::Itself if entry.category == CATEGORY_STRING => TypeKind::Text,
            MadeOf::Itself => TypeKind::Other { category: entry.category },
            MadeOf::Base(base) => self.build(learned, base, levels)?.kind.clone(),
            MadeOf::Element(element) => {
                let delimiter = learned.peek(&element).map_or(b',', |e| e.delimiter);
                TypeKind::Array { element: self.build(learned, element, levels)?, delimiter }
            }
        };
        Some(Arc::new(TypeInfo { oid, name: entry.name, kind }))
    }

    /// The map stays whole whatever happened to a thread that held the lock.
    fn learned(&self) -> MutexGuard<'_, LruCache<u32, Entry>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse_row(fields: &[Option<&str>]) -> Option<(u32, Entry)> {
    let [Some(oid), Some(name), Some(typtype), Some(category), Some(delimiter), base, element] =
        fields
    else {
        return None;
    };
    let number = |text: &Option<&str>| match text {
        None => Some(0),
        Some(text) => text.parse::<u32>().ok(),
    };
    let (base, element) = (number(base)?, number(element)?);
    let made_of = match (*typtype, base, element) {
        ("d", base, _) if base != 0 => MadeOf::Base(base),
        (_, _, 0) => MadeOf::Itself,
        (_, _, element) => MadeOf::Element(element),
    };
    let entry = Entry {
        name: Arc::from(*name),
        category: *category.as_bytes().first()?,
        delimiter: *delimiter.as_bytes().first()?,
        made_of,
    };
    Some((oid.parse().ok()?, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(catalogue: &TypeCatalogue, row: [&str; 7]) {
        let fields = row.map(|field| (field != "-").then_some(field));
        catalogue.insert_from_row(&fields).unwrap();
    }

    #[test]
    fn learned_types_follow_their_base_and_element_in_any_order() {
        let catalogue = TypeCatalogue::new();
        assert_eq!(catalogue.missing([23, 70_001, 0, 70_001, 25]), [70_001]);
        // An array of a domain over int4, before the domain itself.
        learn(&catalogue, ["70001", "_posint", "b", "A", ",", "0", "70000"]);
        assert_eq!(catalogue.missing([70_001]), [70_001], "its element is still unknown");
        learn(&catalogue, ["70000", "posint", "d", "N", ";", "23", "-"]);
        assert!(catalogue.missing([70_001]).is_empty());
        let array = catalogue.resolve(70_001);
        let TypeKind::Array { element, delimiter } = &array.kind else { panic!("{array:?}") };
        assert_eq!((&*array.name, &*element.name), ("_posint", "posint"));
        assert_eq!((&element.kind, *delimiter), (&TypeKind::Int4, b';'));
    }

    #[test]
    fn enums_are_other_and_strings_are_text() {
        let catalogue = TypeCatalogue::new();
        learn(&catalogue, ["70000", "mood", "e", "E", ",", "0", "-"]);
        learn(&catalogue, ["70002", "citext", "b", "S", ",", "0", "-"]);
        assert_eq!(catalogue.resolve(70_000).kind, TypeKind::Other { category: b'E' });
        assert_eq!(catalogue.resolve(70_002).kind, TypeKind::Text);
        assert_eq!(&*catalogue.resolve(70_003).name, "unknown");
    }

    #[test]
    fn a_cycle_ends() {
        let catalogue = TypeCatalogue::new();
        learn(&catalogue, ["70000", "a", "d", "A", ",", "70001", "-"]);
        learn(&catalogue, ["70001", "b", "b", "A", ",", "0", "70000"]);
        assert!(catalogue.get(70_000).is_none());
    }

    #[test]
    fn malformed_rows_are_refused() {
        let catalogue = TypeCatalogue::new();
        assert!(catalogue.insert_from_row(&[]).is_err());
        assert!(catalogue.insert_from_row(&[Some(""); 7]).is_err());
        assert!(catalogue.learn(b"").is_err());
    }

    #[test]
    fn what_is_learned_is_bounded() {
        let catalogue = TypeCatalogue::new();
        for oid in 0..5000u32 {
            let oid = (70_000 + oid).to_string();
            learn(&catalogue, [&oid, "t", "e", "E", ",", "0", "-"]);
        }
        assert!(catalogue.get(70_000).is_none() && catalogue.get(74_999).is_some());
    }
}
