-- Why a table cannot be exchanged without losing something: what it is, and an object or role, each at most once.
-- Parameters: schema and name of the table, schema of the table that takes its place.
WITH t AS (
  SELECT c.*, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = %s AND c.relname = %s
),
-- what belongs to the table alone, and is made anew with it
own (classid, objid) AS (
  SELECT 'pg_class'::regclass, t.oid FROM t
  UNION ALL SELECT 'pg_class'::regclass, t.reltoastrelid FROM t
  UNION ALL SELECT 'pg_class'::regclass, i.indexrelid FROM t JOIN pg_index i ON i.indrelid IN (t.oid, t.reltoastrelid)
  UNION ALL SELECT 'pg_type'::regclass, t.reltype FROM t
  UNION ALL SELECT 'pg_type'::regclass, y.typarray FROM t JOIN pg_type y ON y.oid = t.reltype
  UNION ALL SELECT 'pg_attrdef'::regclass, d.oid FROM t JOIN pg_attrdef d ON d.adrelid = t.oid
  UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM t JOIN pg_constraint k ON k.conrelid = t.oid
  UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid FROM t JOIN pg_statistic_ext s ON s.stxrelid = t.oid
  -- the triggers of its own foreign keys
  UNION ALL SELECT 'pg_trigger'::regclass, g.oid FROM t JOIN pg_constraint k ON k.conrelid = t.oid
            JOIN pg_trigger g ON g.tgconstraint = k.oid AND g.tgisinternal
),
dependents AS (
  SELECT d.classid, d.objid FROM own o JOIN pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.objid
  WHERE (d.classid, d.objid) NOT IN (SELECT x.classid, x.objid FROM own x)
  -- named as the publication below
  AND d.classid <> 'pg_publication_rel'::regclass
)
SELECT DISTINCT o.what, o.name FROM (
  SELECT 'dependent' AS what, CASE WHEN r.oid IS NULL THEN pg_describe_object(d.classid, d.objid, 0)
                                   ELSE pg_describe_object('pg_class'::regclass, r.ev_class, 0) END AS name
  FROM dependents d
  LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
       -- a rule of the table itself is named as such
       AND r.ev_class <> (SELECT t.oid FROM t)
  UNION ALL
  -- to the table as a whole, not only to its columns
  SELECT 'itself', pg_describe_object(d.classid, d.objid, 0) FROM t JOIN pg_depend d
  ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid = 0 AND d.deptype = 'n'
  JOIN own o ON (o.classid, o.objid) = (d.classid, d.objid)
  WHERE d.classid IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass)
  UNION ALL
  -- sessions that have called a function keep the type of its variables, which then is that of the former table
  SELECT 'row_variable', pg_describe_object('pg_proc'::regclass, f.oid, 0)
  FROM t
  CROSS JOIN LATERAL (SELECT '"?' || regexp_replace(t.relname, '(\W)', '\\\1', 'g') || '"?') n (name)
  CROSS JOIN pg_proc f
  JOIN pg_language l ON l.oid = f.prolang AND l.lanname = 'plpgsql'
  WHERE f.prosrc ~* ('\m' || n.name || '\s*%%\s*rowtype\M')
  -- a declaration: the variable, then the type
  OR f.prosrc ~* ('(?:^|;|\n|\mdeclare\M)\s*(?!(?:from|join|into|only|table|update|using)\M)"?[\w$]+"?\s+(?:constant\s+)?'
                  '(?:"?[\w$]+"?\s*\.\s*)?' || n.name || '\s*(?:\[\s*\]\s*)?(?:;|:=|=|default\M|not\M)')
  UNION ALL
  SELECT 'kind', t.relkind::text FROM t WHERE t.relkind <> 'r'
  UNION ALL
  SELECT 'access_method', m.amname FROM t JOIN pg_am m ON m.oid = t.relam WHERE m.amname <> 'heap'
  UNION ALL
  SELECT 'temporary', '' FROM t WHERE t.relpersistence = 't'
  UNION ALL
  SELECT 'typed', t.reloftype::regtype::text FROM t WHERE t.reloftype <> 0
  UNION ALL
  SELECT 'inheritance', CASE WHEN h.inhrelid = t.oid THEN h.inhparent::regclass::text ELSE h.inhrelid::regclass::text END
  FROM t JOIN pg_inherits h ON t.oid IN (h.inhrelid, h.inhparent)
  UNION ALL
  SELECT 'row_security', '' FROM t WHERE t.relrowsecurity OR t.relforcerowsecurity
  UNION ALL
  SELECT 'publication', p.pubname FROM t JOIN pg_publication_tables p ON p.schemaname = t.nspname AND p.tablename = t.relname
  UNION ALL
  SELECT 'subscription', '' FROM t JOIN pg_subscription_rel s ON s.srrelid = t.oid
  UNION ALL
  SELECT 'security_label', s.provider FROM t JOIN pg_seclabel s ON s.classoid = 'pg_class'::regclass AND s.objoid = t.oid
  UNION ALL
  SELECT 'extension', e.extname FROM t
  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = t.oid AND d.deptype IN ('e', 'x')
  JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
  UNION ALL
  SELECT 'index_extension', x.relname FROM t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class x ON x.oid = i.indexrelid
  WHERE EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = x.oid
                AND d.deptype IN ('e', 'x'))
  UNION ALL
  SELECT 'row_type', '' FROM t JOIN pg_type y ON y.oid = t.reltype
  WHERE y.typacl IS NOT NULL OR obj_description(y.oid, 'pg_type') IS NOT NULL
  UNION ALL
  SELECT 'no_replica_identity', '' FROM t
  WHERE t.relreplident = 'i' AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = t.oid AND i.indisreplident)
  UNION ALL
  -- the server chooses the names of its constraints for the partitions
  SELECT 'partitioned_reference', k.conname FROM t JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'f'
  JOIN pg_class r ON r.oid = k.confrelid AND r.relkind = 'p' WHERE k.conparentid = 0
  UNION ALL
  SELECT 'identity', a.attname FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attidentity <> '' AND NOT a.attisdropped
  UNION ALL
  SELECT 'invalid_index', x.relname FROM t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class x ON x.oid = i.indexrelid
  WHERE NOT (i.indisvalid AND i.indisready)
  UNION ALL
  SELECT 'grantor', pg_get_userbyid(x.grantor) FROM t, aclexplode(t.relacl) x WHERE x.grantor <> t.relowner
  UNION ALL
  SELECT 'grantor', pg_get_userbyid(x.grantor) FROM t JOIN pg_attribute a ON a.attrelid = t.oid, aclexplode(a.attacl) x
  WHERE x.grantor <> t.relowner
  UNION ALL
  SELECT 'owner', pg_get_userbyid(t.relowner) FROM t WHERE NOT pg_has_role(t.relowner, 'USAGE')
  UNION ALL
  SELECT 'statistics_owner', s.stxname FROM t JOIN pg_statistic_ext s ON s.stxrelid = t.oid
  WHERE NOT pg_has_role(s.stxowner, 'USAGE')
  UNION ALL
  -- a schema that does not exist yet will be created by this user
  SELECT 'create', n.nspname FROM t, pg_namespace n
  WHERE (n.nspname IN (t.nspname, %s)
         OR n.oid IN (SELECT s.stxnamespace FROM pg_statistic_ext s WHERE s.stxrelid = t.oid))
  AND NOT has_schema_privilege(n.oid, 'CREATE')
  UNION ALL
  -- a superuser may make a table of an owner that has not the privilege
  SELECT 'owner_create', n.nspname FROM t, pg_namespace n, pg_roles u
  WHERE n.nspname IN (t.nspname, %s) AND NOT has_schema_privilege(t.relowner, n.oid, 'CREATE')
  AND u.rolname = current_user AND u.oid <> t.relowner AND NOT u.rolsuper
) o
ORDER BY 1, 2
