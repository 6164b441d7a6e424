%% Erlang: a process of its machine for each connection, gen_tcp, whose parser for HTTP takes heads apart.
%% erl -noshell -pa DIR -s compare_server main PORT FILES
-module(compare_server).
-export([main/1, acceptor/2]).

-define(HELLO, <<"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n">>).
-define(NOT_FOUND, <<"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n">>).

main([Port, Files]) ->
    spawn(fun() -> listen(list_to_integer(atom_to_list(Port)), atom_to_list(Files)) end).

listen(Port, Files) ->
    {ok, Listener} = gen_tcp:listen(Port,
        [binary, {ip, {127, 0, 0, 1}}, {packet, http_bin}, {active, false}, {nodelay, true}, {reuseaddr, true},
         {backlog, 4096}]),
    [spawn(?MODULE, acceptor, [Listener, Files]) || _ <- lists:seq(1, 16)],
    receive after infinity -> ok end. % the socket is this process's

acceptor(Listener, Files) ->
    case gen_tcp:accept(Listener) of
        {ok, Socket} ->
            Pid = spawn(fun() -> receive go -> serve(Socket, Files) end end),
            gen_tcp:controlling_process(Socket, Pid),
            Pid ! go;
        {error, _} -> timer:sleep(10)
    end,
    acceptor(Listener, Files).

serve(Socket, Files) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, {http_request, 'GET', {abs_path, Target}, {1, 1}}} ->
            Close = fields(Socket, false),
            answer(Socket, Target, Files),
            case Close of
                true -> gen_tcp:close(Socket);
                false -> serve(Socket, Files)
            end;
        _ -> gen_tcp:close(Socket)
    end.

fields(Socket, Close) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, {http_header, _, 'Connection', _, Value}} -> fields(Socket, string:lowercase(Value) =:= <<"close">>);
        {ok, {http_header, _, _, _, _}} -> fields(Socket, Close);
        {ok, http_eoh} -> Close;
        _ -> exit(normal)
    end.

answer(Socket, <<"/hello">>, _) -> gen_tcp:send(Socket, ?HELLO);
answer(Socket, <<"/wait?ms=", Ms/binary>>, _) ->
    case string:to_integer(Ms) of
        {Number, <<>>} when Number >= 0, Number =< 60000 ->
            receive after Number -> gen_tcp:send(Socket, ?HELLO) end;
        _ -> gen_tcp:send(Socket, ?NOT_FOUND)
    end;
answer(Socket, <<"/file?name=", Name/binary>>, Files) ->
    case re:run(Name, "^[a-z0-9]{1,15}$", [dollar_endonly]) of
        nomatch -> gen_tcp:send(Socket, ?NOT_FOUND);
        _ -> send_file(Socket, filename:join(Files, Name))
    end;
answer(Socket, _, _) -> gen_tcp:send(Socket, ?NOT_FOUND).

send_file(Socket, Path) ->
    case file:open(Path, [read, raw, binary]) of
        {ok, File} ->
            {ok, Size} = file:position(File, eof),
            gen_tcp:send(Socket, [<<"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ">>,
                                  integer_to_binary(Size), <<"\r\n\r\n">>]),
            {ok, _} = file:sendfile(File, Socket, 0, Size, []),
            file:close(File);
        {error, _} -> gen_tcp:send(Socket, ?NOT_FOUND)
    end.
