package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	schema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

const (
	clusterName = "active"
	storeName   = "sqlite"
)

// serve runs the server and the UI until stop.
func serve(s settings, logger log.Logger, stop <-chan os.Signal) error {
	store, err := openStore(s)
	if err != nil {
		return err
	}
	ports, err := freePorts(s.ip, 3)
	if err != nil {
		return err
	}
	services := map[primitives.ServiceName]int{
		primitives.FrontendService: s.port,
		primitives.HistoryService:  ports[0],
		primitives.MatchingService: ports[1],
		primitives.WorkerService:   ports[2],
	}
	cfg := serverConfig(s, store, services)
	hosts := map[primitives.ServiceName]static.Hosts{}
	for name, port := range services {
		hosts[name] = static.SingleLocalHost(address(s.ip, port))
	}
	mapper, err := authorization.GetClaimMapperFromConfig(&cfg.Global.Authorization, logger)
	if err != nil {
		return fmt.Errorf("make claim mapper: %w", err)
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts), // no gossip between four services of one process
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return mapper }),
		temporal.WithDynamicConfigClient(dynamicConfig(s.dynamic)),
	)
	if err != nil {
		return fmt.Errorf("make server: %w", err)
	}
	if err := server.Start(); err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	if !s.headless {
		ui := webUI(s)
		// Start returns only when the UI ends, and ends the process itself when it cannot listen.
		go func() { _ = ui.Start() }()
		defer ui.Stop()
	}
	<-stop
	return server.Stop()
}

func address(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }

// freePorts chooses n ports, all held open until the last is chosen so that they differ.
func freePorts(ip string, n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", address(ip, 0))
		if err != nil {
			return nil, fmt.Errorf("choose a port: %w", err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// openStore makes the schema in a new file, and the namespaces. The schema goes into another file first,
// which is renamed when complete: the server cannot repair half of a schema.
func openStore(s settings) (*config.SQL, error) {
	store := &config.SQL{PluginName: sqlite.PluginName, ConnectAttributes: map[string]string{}}
	if s.dbFile == "" {
		store.DatabaseName = "tartan"
		store.ConnectAttributes["mode"] = "memory"
		store.ConnectAttributes["cache"] = "shared"
	} else {
		store.DatabaseName = s.dbFile
		store.ConnectAttributes["mode"] = "rwc"
		for name, value := range s.pragmas {
			store.ConnectAttributes[name] = value
		}
		if err := makeFile(*store); err != nil {
			return nil, err
		}
	}
	var namespaces []*schema.NamespaceConfig
	for _, name := range s.namespaces {
		ns, err := schema.NewNamespaceConfig(clusterName, name, false, nil)
		if err != nil {
			return nil, fmt.Errorf("describe namespace %s: %w", name, err)
		}
		namespaces = append(namespaces, ns)
	}
	if err := schema.CreateNamespaces(store, namespaces...); err != nil {
		return nil, fmt.Errorf("make namespaces: %w", err)
	}
	return store, nil
}

func makeFile(store config.SQL) error {
	path := store.DatabaseName
	if _, err := os.Stat(path); err == nil || !os.IsNotExist(err) {
		return err
	}
	fresh := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.Remove(fresh); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove unfinished store: %w", err)
	}
	store.DatabaseName = fresh
	// The connection stays open in the server's pool, so the file must be whole without a write-ahead log.
	store.ConnectAttributes = map[string]string{"mode": "rwc"}
	if err := schema.SetupSchema(&store); err != nil {
		return fmt.Errorf("make store: %w", err)
	}
	return os.Rename(fresh, path)
}

func serverConfig(s settings, store *config.SQL, ports map[primitives.ServiceName]int) *config.Config {
	cfg := &config.Config{}
	cfg.Global.Membership.MaxJoinDuration = 30 * time.Second
	cfg.Global.Membership.BroadcastAddress = s.ip
	cfg.Persistence = config.Persistence{
		DefaultStore: storeName, VisibilityStore: storeName, NumHistoryShards: 1,
		DataStores: map[string]config.DataStore{storeName: {SQL: store}},
	}
	cfg.ClusterMetadata = &cluster.Config{
		FailoverVersionIncrement: 10, MasterClusterName: clusterName, CurrentClusterName: clusterName,
		ClusterInformation: map[string]cluster.ClusterInformation{
			clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: address(s.ip, s.port)},
		},
	}
	cfg.DCRedirectionPolicy.Policy = "noop"
	cfg.Services = map[string]config.Service{}
	for name, port := range ports {
		var svc config.Service
		svc.RPC.GRPCPort, svc.RPC.BindOnIP = port, s.ip
		cfg.Services[string(name)] = svc
	}
	cfg.Archival.History.State, cfg.Archival.Visibility.State = "disabled", "disabled"
	cfg.NamespaceDefaults.Archival.History.State = "disabled"
	cfg.NamespaceDefaults.Archival.Visibility.State = "disabled"
	cfg.PublicClient.HostPort = address(s.ip, s.port)
	return cfg
}

func dynamicConfig(values map[string]any) dynamicconfig.StaticClient {
	static := dynamicconfig.StaticClient{}
	for key, value := range values {
		static[dynamicconfig.MakeKey(key)] = value
	}
	return static
}

func webUI(s settings) *uiserver.Server {
	return uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host: s.uiIP, Port: s.uiPort, TemporalGRPCAddress: address(s.ip, s.port),
		EnableUI: true, HideLogs: true, DisableNewsFetch: true, DefaultNamespace: s.namespaces[len(s.namespaces)-1],
		CORS: uiconfig.CORS{CookieInsecure: true}, // plain HTTP on loopback
	}))
}
