-- What a database holds, so far as two empty ones agree in it: every row of the catalogues by when it was written.
SELECT
    (SELECT md5(string_agg(oid || ' ' || xmin, ',' ORDER BY oid)) FROM pg_class),
    (SELECT md5(string_agg(oid || ' ' || xmin, ',' ORDER BY oid)) FROM pg_proc),
    (SELECT md5(string_agg(oid || ' ' || xmin, ',' ORDER BY oid)) FROM pg_type),
    (SELECT md5(string_agg(oid || ' ' || xmin, ',' ORDER BY oid)) FROM pg_operator),
    (SELECT md5(string_agg(oid || ' ' || xmin, ',' ORDER BY oid)) FROM pg_cast),
    (SELECT md5(string_agg(oid || ' ' || xmin, ',' ORDER BY oid)) FROM pg_language),
    (SELECT count(*) FROM pg_collation),
    (SELECT count(*) FROM pg_extension),
    (SELECT count(*) FROM pg_event_trigger),
    (SELECT count(*) FROM pg_publication),
    (SELECT count(*) FROM pg_foreign_data_wrapper),
    (SELECT count(*) FROM pg_default_acl),
    (SELECT count(*) FROM pg_largeobject_metadata),
    (SELECT count(*) FROM pg_subscription),
    (SELECT array_agg(nspname || ' ' || nspowner || ' ' || coalesce(nspacl::text, '') ORDER BY nspname)
     FROM pg_namespace WHERE nspname NOT LIKE 'pg\_temp%' AND nspname NOT LIKE 'pg\_toast\_temp%'),
    (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase IN (SELECT oid FROM pg_database
                                                                    WHERE datname = current_database())),
    (SELECT array[datdba::text, datallowconn::text, datconnlimit::text, coalesce(datacl::text, '')] FROM pg_database
     WHERE datname = current_database())
