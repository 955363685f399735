// Package sqldb is what the adapters of SQL databases share: names and quoting,
// column types and DDL, the metadata table, the texts of statements, the checks
// of requests, page tokens, JDBC URLs. It imports no driver and does no I/O of
// its own; an adapter is a driver, a way to run statements, and a Dialect.
//
// How an adapter uses it:
//
//   - A Dialect is data. Take SQLite, PostgreSQL or MySQL(n), copy and change it
//     if the server asks for that, and make one Builder of it for the storage.
//   - Admin implements storage.Admin over an Executor, the few lines that run a
//     statement on a connection.
//   - Mutate: d.CheckBatch(batch) first. For each mutation m:
//     st := b.Mutation(&m); args = st.AppendArgs(args[:0], &m); run st.SQL; then
//     st.Holds(rows), where rows counts the rows that the statement touched or,
//     if st.Query, returned, says whether its guard held. A duplicate-key error
//     of a statement with st.Insert is a guard that did not hold.
//   - Get: d.CheckGet(g), b.Get(table), whose arguments are the key's values.
//     b.GetMany(table, n) reads n keys of one table in one statement.
//   - Scan: sc, err := b.Scan(&scan) checks everything and decodes the token.
//     Run sc.SQL with sc.Args; add each row to sc.NewPage(), until Add says that
//     the page is full; Page.Finish gives the page and its token.
//
// Arguments are model.Values, in the order of the placeholders; how each type
// goes over the wire is the adapter's. Columns of SELECTs are those of
// model.Table.Columns, in that order.
//
// Texts are built once for each (table, shape) and then found in a cache, so the
// same text is the same string, good as a key of a prepared-statement cache.
package sqldb
