-- What this user's default privileges for a schema grant on its new tables, besides those for all schemas: grantee (NULL
-- for PUBLIC), privilege, whether with grant option.
SELECT CASE x.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(x.grantee) END, x.privilege_type, x.is_grantable
FROM pg_default_acl d
JOIN pg_namespace n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL aclexplode(d.defaclacl) x
WHERE d.defaclobjtype = 'r' AND d.defaclrole = (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user)
AND n.nspname = %s
ORDER BY x.grantee, x.privilege_type
