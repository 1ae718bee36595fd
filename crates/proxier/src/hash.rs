//! Hash tables that are looked into for each change of a cluster.

use rapidhash::fast::RandomState;

/// A map whose keys are hashed by rapidhash, with a seed of its own and secrets that are drawn when the process starts.
///
/// SipHash, the standard library's, is made so that nobody who does not know the seed finds keys that collide, and it took a
/// twelfth of what a change of one endpoint costs. The seed and secrets of rapidhash keep keys from colliding that somebody
/// computed beforehand; no proof says that hashes which can be observed do not give them away. Names of Services come from
/// whoever may create them, but no hash leaves this process, nor does the order of a map. Should somebody still find names that
/// collide, a search takes as long as there are such names, which the API server has to accept one by one.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;

/// A set, likewise.
pub(crate) type HashSet<T> = std::collections::HashSet<T, RandomState>;
