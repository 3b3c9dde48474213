//! Pools by the names that requests use.

use pool_manager::{DatabasePool, PRIMARY, PoolRegistry};

use crate::common::*;

#[tokio::test]
async fn pools_are_found_by_name_and_an_unknown_one_is_3d000() {
    let database = database().await;
    let config = config(&database.dsn(), 1, |_| {});
    let pools = ["reports", PRIMARY].map(|name| DatabasePool::new(name, &config).unwrap());
    let registry = PoolRegistry::new(pools);
    assert_eq!(registry.get_pool(PRIMARY).unwrap().name(), PRIMARY);
    let unknown = registry.get_pool("nowhere").map(drop);
    assert_error(&unknown, "3D000", "\"nowhere\" does not exist here");
    assert_error(&unknown, "3D000", "configured: primary, reports");
    let names = |selected: Vec<&DatabasePool>| -> Vec<String> {
        selected.iter().map(|pool| pool.name().to_owned()).collect()
    };
    assert_eq!(names(registry.select("*").unwrap()), ["primary", "reports"]);
    assert_eq!(names(registry.select("reports").unwrap()), ["reports"]);
    assert_eq!(code(&registry.select("nowhere").map(drop)), "3D000");
    assert_eq!(registry.iter().count(), 2);
}
