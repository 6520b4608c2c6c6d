-- Метод example.simple.
CREATE OR REPLACE FUNCTION @NAME@_service.example_simple(body jsonb, request tpro.request_row) RETURNS jsonb LANGUAGE plpgsql
AS $$
BEGIN
    IF body->>'name' IS NULL THEN
        PERFORM tpro.raise_fault(-32602, 'field name is missing', '{"field": "name"}');
    END IF;
    RETURN jsonb_build_object('hello', body->>'name', 'from', request.sender);
END
$$;
SELECT tpro.handle('example', 'simple', '@NAME@_service.example_simple'::regproc);
